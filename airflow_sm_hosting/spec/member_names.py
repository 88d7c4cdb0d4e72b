"""The members of AWS's requests, by the name of their structure in botocore's model. Written by scripts/member-names; do not edit.

``Member:Structure`` is a member that is a structure, or a list of them.
"""

from __future__ import annotations

#: The version of botocore that the names are from.
BOTOCORE = "1.44.8"

# fmt: off
MEMBERS = {
    "AcceleratorPartitionLayout": "AcceleratorPartitionTypes",
    "ActionConfiguration": "AlarmTagsPropagation:AlarmTagsPropagation",
    "AdditionalInferenceSpecificationDefinition": (
        "Containers:ModelPackageContainerDefinition Description Name SupportedContentTypes "
        "SupportedRealtimeInferenceInstanceTypes SupportedResponseMIMETypes "
        "SupportedTransformInstanceTypes"
    ),
    "AdditionalModelDataSource": "ChannelName S3DataSource:S3ModelDataSource",
    "AdditionalS3DataSource": "CompressionType ETag S3DataType S3Uri",
    "Alarm": "AlarmName",
    "AlarmPromQLCriteria": "PendingPeriod Query RecoveryPeriod",
    "AlarmTagsPropagation": "Enabled ExcludedTagKeys IncludedTagKeys",
    "AsyncInferenceClientConfig": "MaxConcurrentInvocationsPerInstance",
    "AsyncInferenceConfig": (
        "ClientConfig:AsyncInferenceClientConfig OutputConfig:AsyncInferenceOutputConfig"
    ),
    "AsyncInferenceNotificationConfig": "ErrorTopic IncludeInferenceResponseIn SuccessTopic",
    "AsyncInferenceOutputConfig": (
        "KmsKeyId NotificationConfig:AsyncInferenceNotificationConfig S3FailurePath S3OutputPath"
    ),
    "AutoRollbackConfig": "Alarms:Alarm",
    "BaseModel": "HubContentName HubContentVersion RecipeName",
    "Bias": "PostTrainingReport:MetricsSource PreTrainingReport:MetricsSource Report:MetricsSource",
    "BlueGreenUpdatePolicy": (
        "MaximumExecutionTimeoutInSeconds TerminationWaitInSeconds "
        "TrafficRoutingConfiguration:TrafficRoutingConfig"
    ),
    "CapacitySize": "Type Value",
    "CaptureContentTypeHeader": "CsvContentTypes JsonContentTypes",
    "CaptureOption": "CaptureMode",
    "ClarifyExplainerConfig": (
        "EnableExplanations InferenceConfig:ClarifyInferenceConfig ShapConfig:ClarifyShapConfig"
    ),
    "ClarifyInferenceConfig": (
        "ContentTemplate FeatureHeaders FeatureTypes FeaturesAttribute LabelAttribute LabelHeaders "
        "LabelIndex MaxPayloadInMB MaxRecordCount ProbabilityAttribute ProbabilityIndex"
    ),
    "ClarifyShapBaselineConfig": "MimeType ShapBaseline ShapBaselineUri",
    "ClarifyShapConfig": (
        "NumberOfSamples Seed ShapBaselineConfig:ClarifyShapBaselineConfig TextConfig:ClarifyTextConfig "
        "UseLogit"
    ),
    "ClarifyTextConfig": "Granularity Language",
    "ContainerDefinition": (
        "AdditionalModelDataSources:AdditionalModelDataSource ContainerHostname "
        "ContainerMetricsConfig:ContainerMetricsConfig Environment Image ImageConfig:ImageConfig "
        "InferenceSpecificationName Mode ModelDataSource:ModelDataSource ModelDataUrl ModelPackageName "
        "MultiModelConfig:MultiModelConfig"
    ),
    "ContainerMetricsConfig": "MetricsEndpoints:MetricsEndpoint",
    "CreateEndpointConfigInput": (
        "AsyncInferenceConfig:AsyncInferenceConfig CrossRegionTrafficConfig:CrossRegionTrafficConfig "
        "DataCaptureConfig:DataCaptureConfig EnableNetworkIsolation EndpointConfigName ExecutionRoleArn "
        "ExplainerConfig:ExplainerConfig KmsKeyId MetricsConfig:MetricsConfig "
        "ProductionVariants:ProductionVariant ShadowProductionVariants:ProductionVariant Tags:Tag "
        "VpcConfig:VpcConfig"
    ),
    "CreateInferenceComponentInput": (
        "EndpointName InferenceComponentName RuntimeConfig:InferenceComponentRuntimeConfig "
        "Specification:InferenceComponentSpecification Specifications:InferenceComponentSpecification "
        "Tags:Tag VariantName"
    ),
    "CreateModelInput": (
        "Containers:ContainerDefinition EnableNetworkIsolation ExecutionRoleArn "
        "InferenceExecutionConfig:InferenceExecutionConfig ModelName PrimaryContainer:ContainerDefinition "
        "Tags:Tag VpcConfig:VpcConfig"
    ),
    "CreateModelPackageInput": (
        "AdditionalInferenceSpecifications:AdditionalInferenceSpecificationDefinition "
        "CertifyForMarketplace ClientToken CustomerMetadataProperties Domain "
        "DriftCheckBaselines:DriftCheckBaselines InferenceSpecification:InferenceSpecification "
        "ManagedStorageType MetadataProperties:MetadataProperties ModelApprovalStatus "
        "ModelCard:ModelPackageModelCard ModelLifeCycle:ModelLifeCycle ModelMetrics:ModelMetrics "
        "ModelPackageDescription ModelPackageGroupName ModelPackageName ModelPackageRegistrationType "
        "SamplePayloadUrl SecurityConfig:ModelPackageSecurityConfig SkipModelValidation "
        "SourceAlgorithmSpecification:SourceAlgorithmSpecification SourceUri Tags:Tag Task "
        "ValidationSpecification:ModelPackageValidationSpecification"
    ),
    "CrossRegionTrafficConfig": "MaxCrossRegionPercentPerEndpoint MaxInvocationsPerSecondPerInstance",
    "CustomizedMetricSpecification": (
        "Dimensions:MetricDimension MetricName Metrics:TargetTrackingMetricDataQuery Namespace Statistic "
        "Unit"
    ),
    "DataCaptureConfig": (
        "CaptureContentTypeHeader:CaptureContentTypeHeader CaptureOptions:CaptureOption DestinationS3Uri "
        "EnableCapture InitialSamplingPercentage KmsKeyId"
    ),
    "DeploymentConfig": (
        "AutoRollbackConfiguration:AutoRollbackConfig BlueGreenUpdatePolicy:BlueGreenUpdatePolicy "
        "RollingUpdatePolicy:RollingUpdatePolicy"
    ),
    "DesiredWeightAndCapacity": (
        "DesiredInstanceCount DesiredWeight "
        "ServerlessUpdateConfig:ProductionVariantServerlessUpdateConfig VariantName"
    ),
    "Dimension": "Name Value",
    "DriftCheckBaselines": (
        "Bias:DriftCheckBias Explainability:DriftCheckExplainability "
        "ModelDataQuality:DriftCheckModelDataQuality ModelQuality:DriftCheckModelQuality"
    ),
    "DriftCheckBias": (
        "ConfigFile:FileSource PostTrainingConstraints:MetricsSource PreTrainingConstraints:MetricsSource"
    ),
    "DriftCheckExplainability": "ConfigFile:FileSource Constraints:MetricsSource",
    "DriftCheckModelDataQuality": "Constraints:MetricsSource Statistics:MetricsSource",
    "DriftCheckModelQuality": "Constraints:MetricsSource Statistics:MetricsSource",
    "EvaluationCriteria": "PromQLCriteria:AlarmPromQLCriteria",
    "EvaluationWindow": "SlidingWindow:SlidingWindow WallClockWindow:WallClockWindow",
    "Explainability": "Report:MetricsSource",
    "ExplainerConfig": "ClarifyExplainerConfig:ClarifyExplainerConfig",
    "FileSource": "ContentDigest ContentType S3Uri",
    "ImageConfig": "RepositoryAccessMode RepositoryAuthConfig:RepositoryAuthConfig",
    "InferenceComponentAvailabilityZoneBalance": "EnforcementMode MaxImbalance",
    "InferenceComponentCapacitySize": "Type Value",
    "InferenceComponentComputeResourceRequirements": (
        "AcceleratorPartitionType MaxMemoryRequiredInMb MinMemoryRequiredInMb "
        "NumberOfAcceleratorDevicesRequired NumberOfCpuCoresRequired"
    ),
    "InferenceComponentContainerSpecification": (
        "ArtifactUrl ContainerMetricsConfig:ContainerMetricsConfig Environment Image"
    ),
    "InferenceComponentDataCacheConfig": "EnableCaching",
    "InferenceComponentDeploymentConfig": (
        "AutoRollbackConfiguration:AutoRollbackConfig "
        "RollingUpdatePolicy:InferenceComponentRollingUpdatePolicy"
    ),
    "InferenceComponentRollingUpdatePolicy": (
        "MaximumBatchSize:InferenceComponentCapacitySize MaximumExecutionTimeoutInSeconds "
        "RollbackMaximumBatchSize:InferenceComponentCapacitySize WaitIntervalInSeconds"
    ),
    "InferenceComponentRuntimeConfig": "CopyCount",
    "InferenceComponentSchedulingConfig": (
        "AvailabilityZoneBalance:InferenceComponentAvailabilityZoneBalance PlacementStrategy"
    ),
    "InferenceComponentSpecification": (
        "BaseInferenceComponentName "
        "ComputeResourceRequirements:InferenceComponentComputeResourceRequirements "
        "Container:InferenceComponentContainerSpecification "
        "DataCacheConfig:InferenceComponentDataCacheConfig InstanceType ModelName "
        "SchedulingConfig:InferenceComponentSchedulingConfig "
        "StartupParameters:InferenceComponentStartupParameters"
    ),
    "InferenceComponentStartupParameters": (
        "ContainerStartupHealthCheckTimeoutInSeconds ModelDataDownloadTimeoutInSeconds"
    ),
    "InferenceExecutionConfig": "Mode",
    "InferenceHubAccessConfig": "HubContentArn",
    "InferenceSpecification": (
        "Containers:ModelPackageContainerDefinition SupportedContentTypes "
        "SupportedRealtimeInferenceInstanceTypes SupportedResponseMIMETypes "
        "SupportedTransformInstanceTypes"
    ),
    "InstancePool": "InstanceType ModelNameOverride Priority",
    "MetadataProperties": "CommitId GeneratedBy ProjectId Repository",
    "Metric": "Dimensions:Dimension MetricName Namespace",
    "MetricDataQuery": "AccountId Expression Id Label MetricStat:MetricStat Period ReturnData",
    "MetricDimension": "Name Value",
    "MetricStat": "Metric:Metric Period Stat Unit",
    "MetricsConfig": "EnableDetailedObservability EnableEnhancedMetrics MetricPublishFrequencyInSeconds",
    "MetricsEndpoint": "MetricPublishFrequencyInSeconds MetricsEndpointPath",
    "MetricsSource": "ContentDigest ContentType S3Uri",
    "ModelAccessConfig": "AcceptEula",
    "ModelDataQuality": "Constraints:MetricsSource Statistics:MetricsSource",
    "ModelDataSource": "S3DataSource:S3ModelDataSource",
    "ModelInput": "DataInputConfig",
    "ModelLifeCycle": "Stage StageDescription StageStatus",
    "ModelMetrics": (
        "Bias:Bias Explainability:Explainability ModelDataQuality:ModelDataQuality "
        "ModelQuality:ModelQuality"
    ),
    "ModelPackageContainerDefinition": (
        "AdditionalModelDataSources:AdditionalModelDataSource "
        "AdditionalS3DataSource:AdditionalS3DataSource BaseModel:BaseModel ContainerHostname Environment "
        "Framework FrameworkVersion Image ImageDigest IsCheckpoint ModelDataETag "
        "ModelDataSource:ModelDataSource ModelDataUrl ModelInput:ModelInput NearestModelName ProductId"
    ),
    "ModelPackageModelCard": "ModelCardContent ModelCardStatus",
    "ModelPackageSecurityConfig": "KmsKeyId",
    "ModelPackageValidationProfile": "ProfileName TransformJobDefinition:TransformJobDefinition",
    "ModelPackageValidationSpecification": (
        "ValidationProfiles:ModelPackageValidationProfile ValidationRole"
    ),
    "ModelQuality": "Constraints:MetricsSource Statistics:MetricsSource",
    "MultiModelConfig": "ModelCacheSetting",
    "PredefinedMetricSpecification": "PredefinedMetricType ResourceLabel",
    "PredictiveScalingCustomizedMetricSpecification": "MetricDataQueries:PredictiveScalingMetricDataQuery",
    "PredictiveScalingMetric": "Dimensions:PredictiveScalingMetricDimension MetricName Namespace",
    "PredictiveScalingMetricDataQuery": (
        "Expression Id Label MetricStat:PredictiveScalingMetricStat ReturnData"
    ),
    "PredictiveScalingMetricDimension": "Name Value",
    "PredictiveScalingMetricSpecification": (
        "CustomizedCapacityMetricSpecification:PredictiveScalingCustomizedMetricSpecification "
        "CustomizedLoadMetricSpecification:PredictiveScalingCustomizedMetricSpecification "
        "CustomizedScalingMetricSpecification:PredictiveScalingCustomizedMetricSpecification "
        "PredefinedLoadMetricSpecification:PredictiveScalingPredefinedLoadMetricSpecification "
        "PredefinedMetricPairSpecification:PredictiveScalingPredefinedMetricPairSpecification "
        "PredefinedScalingMetricSpecification:PredictiveScalingPredefinedScalingMetricSpecification "
        "TargetValue"
    ),
    "PredictiveScalingMetricStat": "Metric:PredictiveScalingMetric Stat Unit",
    "PredictiveScalingPolicyConfiguration": (
        "MaxCapacityBreachBehavior MaxCapacityBuffer "
        "MetricSpecifications:PredictiveScalingMetricSpecification Mode SchedulingBufferTime"
    ),
    "PredictiveScalingPredefinedLoadMetricSpecification": "PredefinedMetricType ResourceLabel",
    "PredictiveScalingPredefinedMetricPairSpecification": "PredefinedMetricType ResourceLabel",
    "PredictiveScalingPredefinedScalingMetricSpecification": "PredefinedMetricType ResourceLabel",
    "PrefixAwareRoutingConfig": "ConcurrencyThreshold PrefixLength",
    "ProductionVariant": (
        "AcceleratorPartitionLayouts:AcceleratorPartitionLayout AcceleratorType "
        "CapacityReservationConfig:ProductionVariantCapacityReservationConfig "
        "ContainerStartupHealthCheckTimeoutInSeconds CoreDumpConfig:ProductionVariantCoreDumpConfig "
        "EnableSSMAccess InferenceAmiVersion InitialInstanceCount InitialVariantWeight "
        "InstancePools:InstancePool InstanceType "
        "ManagedInstanceScaling:ProductionVariantManagedInstanceScaling ModelDataDownloadTimeoutInSeconds "
        "ModelName RoutingConfig:ProductionVariantRoutingConfig "
        "ServerlessConfig:ProductionVariantServerlessConfig VariantInstanceProvisionTimeoutInSeconds "
        "VariantName VolumeSizeInGB"
    ),
    "ProductionVariantCapacityReservationConfig": "CapacityReservationPreference MlReservationArn",
    "ProductionVariantCoreDumpConfig": "DestinationS3Uri KmsKeyId",
    "ProductionVariantManagedInstanceScaling": (
        "MaxInstanceCount MinInstanceCount "
        "ScaleInPolicy:ProductionVariantManagedInstanceScalingScaleInPolicy Status"
    ),
    "ProductionVariantManagedInstanceScalingScaleInPolicy": "CooldownInMinutes MaximumStepSize Strategy",
    "ProductionVariantRoutingConfig": "PrefixAwareRoutingConfig:PrefixAwareRoutingConfig RoutingStrategy",
    "ProductionVariantServerlessConfig": "MaxConcurrency MemorySizeInMB ProvisionedConcurrency",
    "ProductionVariantServerlessUpdateConfig": "MaxConcurrency ProvisionedConcurrency",
    "PutMetricAlarmInput": (
        "ActionConfiguration:ActionConfiguration ActionsEnabled AlarmActions AlarmDescription AlarmName "
        "ComparisonOperator DatapointsToAlarm Dimensions:Dimension EvaluateLowSampleCountPercentile "
        "EvaluationCriteria:EvaluationCriteria EvaluationInterval EvaluationPeriods "
        "EvaluationWindow:EvaluationWindow ExtendedStatistic InsufficientDataActions MetricName "
        "Metrics:MetricDataQuery Namespace OKActions Period Statistic Tags:Tag Threshold "
        "ThresholdMetricId TreatMissingData Unit WarmUpConfiguration:WarmUpConfiguration"
    ),
    "PutScalingPolicyRequest": (
        "PolicyName PolicyType PredictiveScalingPolicyConfiguration:PredictiveScalingPolicyConfiguration "
        "ResourceId ScalableDimension ServiceNamespace "
        "StepScalingPolicyConfiguration:StepScalingPolicyConfiguration "
        "TargetTrackingScalingPolicyConfiguration:TargetTrackingScalingPolicyConfiguration"
    ),
    "PutScheduledActionRequest": (
        "EndTime ResourceId ScalableDimension ScalableTargetAction:ScalableTargetAction Schedule "
        "ScheduledActionName ServiceNamespace StartTime Timezone"
    ),
    "RepositoryAuthConfig": "RepositoryCredentialsProviderArn",
    "RollingUpdatePolicy": (
        "MaximumBatchSize:CapacitySize MaximumExecutionTimeoutInSeconds "
        "RollbackMaximumBatchSize:CapacitySize WaitIntervalInSeconds"
    ),
    "S3ModelDataSource": (
        "CompressionType ETag HubAccessConfig:InferenceHubAccessConfig ManifestEtag ManifestS3Uri "
        "ModelAccessConfig:ModelAccessConfig S3DataType S3Uri"
    ),
    "ScalableTargetAction": "MaxCapacity MinCapacity",
    "SlidingWindow": "",
    "SourceAlgorithm": "AlgorithmName ModelDataETag ModelDataSource:ModelDataSource ModelDataUrl",
    "SourceAlgorithmSpecification": "SourceAlgorithms:SourceAlgorithm",
    "StepAdjustment": "MetricIntervalLowerBound MetricIntervalUpperBound ScalingAdjustment",
    "StepScalingPolicyConfiguration": (
        "AdjustmentType Cooldown MetricAggregationType MinAdjustmentMagnitude "
        "StepAdjustments:StepAdjustment"
    ),
    "Tag": "Key Value",
    "TargetTrackingMetric": "Dimensions:TargetTrackingMetricDimension MetricName Namespace",
    "TargetTrackingMetricDataQuery": "Expression Id Label MetricStat:TargetTrackingMetricStat ReturnData",
    "TargetTrackingMetricDimension": "Name Value",
    "TargetTrackingMetricStat": "Metric:TargetTrackingMetric Stat Unit",
    "TargetTrackingScalingPolicyConfiguration": (
        "CustomizedMetricSpecification:CustomizedMetricSpecification DisableScaleIn "
        "PredefinedMetricSpecification:PredefinedMetricSpecification ScaleInCooldown ScaleOutCooldown "
        "TargetValue"
    ),
    "TrafficRoutingConfig": (
        "CanarySize:CapacitySize LinearStepSize:CapacitySize Type WaitIntervalInSeconds"
    ),
    "TransformDataSource": "S3DataSource:TransformS3DataSource",
    "TransformInput": "CompressionType ContentType DataSource:TransformDataSource SplitType",
    "TransformJobDefinition": (
        "BatchStrategy Environment MaxConcurrentTransforms MaxPayloadInMB TransformInput:TransformInput "
        "TransformOutput:TransformOutput TransformResources:TransformResources"
    ),
    "TransformOutput": "Accept AssembleWith KmsKeyId S3OutputPath",
    "TransformResources": "InstanceCount InstanceType TransformAmiVersion VolumeKmsKeyId",
    "TransformS3DataSource": "S3DataType S3Uri",
    "UpdateEndpointInput": (
        "DeploymentConfig:DeploymentConfig EndpointConfigName EndpointName "
        "ExcludeRetainedVariantProperties:VariantProperty RetainAllVariantProperties "
        "RetainDeploymentConfig"
    ),
    "UpdateEndpointWeightsAndCapacitiesInput": (
        "DesiredWeightsAndCapacities:DesiredWeightAndCapacity EndpointName"
    ),
    "UpdateInferenceComponentInput": (
        "DeploymentConfig:InferenceComponentDeploymentConfig InferenceComponentName "
        "RuntimeConfig:InferenceComponentRuntimeConfig Specification:InferenceComponentSpecification "
        "Specifications:InferenceComponentSpecification"
    ),
    "VariantProperty": "VariantPropertyType",
    "VpcConfig": "SecurityGroupIds Subnets",
    "WallClockWindow": "Timezone",
    "WarmUpConfiguration": "OnlyStartEvaluatingAfterWarmUpPeriodEnds WarmUpPeriodDurationInMinutes",
}
