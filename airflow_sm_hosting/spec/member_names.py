"""The members of AWS's requests, by the name of their structure in botocore's model. Written by scripts/member-names; do not edit.

``Member:Structure`` is a member that is a structure, or a list of them.
"""

from __future__ import annotations

#: The version of botocore that the names are from.
BOTOCORE = "1.44.8"

# fmt: off
MEMBERS = {
    "AcceleratorPartitionLayout": "AcceleratorPartitionTypes",
    "AdditionalModelDataSource": "ChannelName S3DataSource:S3ModelDataSource",
    "Alarm": "AlarmName",
    "AsyncInferenceClientConfig": "MaxConcurrentInvocationsPerInstance",
    "AsyncInferenceConfig": (
        "ClientConfig:AsyncInferenceClientConfig OutputConfig:AsyncInferenceOutputConfig"
    ),
    "AsyncInferenceNotificationConfig": "ErrorTopic IncludeInferenceResponseIn SuccessTopic",
    "AsyncInferenceOutputConfig": (
        "KmsKeyId NotificationConfig:AsyncInferenceNotificationConfig S3FailurePath S3OutputPath"
    ),
    "AutoRollbackConfig": "Alarms:Alarm",
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
    "ExplainerConfig": "ClarifyExplainerConfig:ClarifyExplainerConfig",
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
    "InstancePool": "InstanceType ModelNameOverride Priority",
    "MetricDimension": "Name Value",
    "MetricsConfig": "EnableDetailedObservability EnableEnhancedMetrics MetricPublishFrequencyInSeconds",
    "MetricsEndpoint": "MetricPublishFrequencyInSeconds MetricsEndpointPath",
    "ModelAccessConfig": "AcceptEula",
    "ModelDataSource": "S3DataSource:S3ModelDataSource",
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
    "UpdateEndpointInput": (
        "DeploymentConfig:DeploymentConfig EndpointConfigName EndpointName "
        "ExcludeRetainedVariantProperties:VariantProperty RetainAllVariantProperties "
        "RetainDeploymentConfig"
    ),
    "UpdateInferenceComponentInput": (
        "DeploymentConfig:InferenceComponentDeploymentConfig InferenceComponentName "
        "RuntimeConfig:InferenceComponentRuntimeConfig Specification:InferenceComponentSpecification "
        "Specifications:InferenceComponentSpecification"
    ),
    "VariantProperty": "VariantPropertyType",
    "VpcConfig": "SecurityGroupIds Subnets",
}
