// The stack of the library's README: a model of an image and data that are assets, a config, an endpoint, its scaling and its alarm.
const path = require('path');
const cdk = require('aws-cdk-lib');
const cloudwatch = require('aws-cdk-lib/aws-cloudwatch');
const sagemaker = require('@aws-cdk/aws-sagemaker-alpha');

const folder = process.env.ASSETS;
const app = new cdk.App();
const stack = new cdk.Stack(app, 'Hosting', {
  env: { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION },
  tags: { team: 'churn' },
});

const model = new sagemaker.Model(stack, 'PrimaryContainerModel', {
  containers: [
    {
      image: sagemaker.ContainerImage.fromAsset(path.join(folder, 'image')),
      modelData: sagemaker.ModelData.fromAsset(path.join(folder, 'model.tar.gz')),
      environment: { VERSION: process.env.VERSION, ...(process.env.CRASH ? { CRASH: process.env.CRASH } : {}) },
    },
  ],
});
const endpointConfig = new sagemaker.EndpointConfig(stack, 'EndpointConfig', {
  instanceProductionVariants: [
    { model, variantName: 'my-variant', instanceType: sagemaker.InstanceType.of('ml.m5.large') },
  ],
});
const endpoint = new sagemaker.Endpoint(stack, 'Endpoint', { endpointConfig });
const variant = endpoint.findInstanceProductionVariant('my-variant');
variant.autoScaleInstanceCount({ maxCapacity: 3 }).scaleOnInvocations('LimitRPS', { maxRequestsPerSecond: 30 });
variant.metricModelLatency().createAlarm(stack, 'ModelLatencyAlarm', {
  threshold: Number(process.env.THRESHOLD || 100000),
  evaluationPeriods: 3,
});
if (process.env.RETAIN) {
  // All that the stack has stays when it is deleted.
  for (const child of stack.node.findAll()) {
    if (cdk.CfnResource.isCfnResource(child)) child.applyRemovalPolicy(cdk.RemovalPolicy.RETAIN);
  }
}
new cdk.CfnOutput(stack, 'RoleArn', { value: model.role.roleArn });
new cdk.CfnOutput(stack, 'EndpointName', { value: endpoint.endpointName });
