'use strict';
// Text is only ever set as text: nothing that AWS stores becomes markup.
const PREFIX = '/_sm_hosting/ui';
const MOST = 2000; // rows of a list
const SVG = 'http://www.w3.org/2000/svg';

function h(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((one) => one !== null && one !== undefined && one !== false).map((one) => (one instanceof Node ? one : String(one))));
  return made;
}

async function ask(method, path, body) {
  const answer = await fetch(`${PREFIX}/api/${path}`, {
    method,
    headers: { 'X-Sm-Hosting-Page': '1', ...(body ? { 'Content-Type': 'application/json' } : {}) },
    body: body && JSON.stringify(body),
  });
  if (answer.status === 401) location.reload();
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.message ?? answer.statusText);
  return found;
}

const region = new URLSearchParams(location.search).get('region') ?? undefined;
const call = (service, operation, members = {}) => ask('POST', 'call', { service, operation, members, region });

async function all(service, operation, member, members = {}) {
  const found = [];
  for (let token; found.length < MOST; ) {
    const answer = await call(service, operation, { ...members, ...(token && { NextToken: token }) });
    found.push(...(answer[member] ?? []));
    token = answer.NextToken;
    if (!token) return found;
  }
  return found;
}

const optional = (promise, otherwise) => promise.catch(() => otherwise);
const at = (time) => (time ? new Date(time).toLocaleString() : '');
const to = (...parts) => [PREFIX, ...parts.map(encodeURIComponent)].join('/') + (region ? `?region=${encodeURIComponent(region)}` : '');
const link = (text, ...parts) => h('a', { href: to(...parts) }, text);
const json = (value) => h('pre', { tabindex: 0 }, JSON.stringify(value, null, 2));

function status(text) {
  const kind = ['InService', 'OK', 'Successful'].includes(text) ? 'good' : ['Failed', 'ALARM', 'OutOfService', 'UpdateRollbackFailed'].includes(text) ? 'bad' : 'busy';
  return h('span', { class: kind }, text);
}

function table(headings, rows, empty) {
  if (!rows.length) return h('p', { class: 'muted' }, empty);
  return h('table', null,
    h('thead', null, h('tr', null, headings.map((one) => h('th', { scope: 'col' }, one)))),
    h('tbody', null, rows.map((cells) => h('tr', null, cells.map((cell) => h('td', null, cell ?? ''))))));
}

const instances = (variant) => (variant.DesiredInstanceCount === undefined ? 'serverless' : `${variant.CurrentInstanceCount ?? 0} of ${variant.DesiredInstanceCount}`);

async function endpoints() {
  const Endpoints = await all('sagemaker', 'ListEndpoints', 'Endpoints', { MaxResults: 100 });
  return [h('h1', null, 'Endpoints'), table(['Endpoint', 'Status', 'Last change'],
    Endpoints.map((one) => [link(one.EndpointName, 'endpoints', one.EndpointName), status(one.EndpointStatus), at(one.LastModifiedTime)]),
    'There is no endpoint in this Region yet.')];
}

async function endpoint(name) {
  const found = await call('sagemaker', 'DescribeEndpoint', { EndpointName: name });
  const variants = found.ProductionVariants ?? [];
  const ids = variants.map((one) => `endpoint/${found.EndpointName}/variant/${one.VariantName}`);
  const [config, targets, activities, logs, plots] = await Promise.all([
    optional(call('sagemaker', 'DescribeEndpointConfig', { EndpointConfigName: found.EndpointConfigName }), null),
    ids.length ? optional(call('application-autoscaling', 'DescribeScalableTargets', { ServiceNamespace: 'sagemaker', ResourceIds: ids }), {}) : {},
    Promise.all(ids.map((id) => optional(call('application-autoscaling', 'DescribeScalingActivities', { ServiceNamespace: 'sagemaker', ResourceId: id }), {}))),
    logLines(`/aws/sagemaker/Endpoints/${found.EndpointName}`),
    Promise.all(variants.map((one) => metrics(found.EndpointName, one.VariantName))),
  ]);
  const ranges = Object.fromEntries((targets.ScalableTargets ?? []).map((one) => [one.ResourceId, `${one.MinCapacity} to ${one.MaxCapacity}`]));
  const scaled = activities.flatMap((one) => one.ScalingActivities ?? []);
  return [
    h('h1', null, found.EndpointName),
    h('p', null, status(found.EndpointStatus), ' on ', link(found.EndpointConfigName, 'endpoint-configs', found.EndpointConfigName), h('span', { class: 'muted' }, `, changed ${at(found.LastModifiedTime)}`)),
    found.FailureReason && h('p', { class: 'bad' }, found.FailureReason),
    h('h2', null, 'Variants'),
    table(['Variant', 'Weight', 'Instances', 'Scaling'], variants.map((one, i) => [one.VariantName, one.CurrentWeight, instances(one), ranges[ids[i]]]), 'It has no variants yet.'),
    found.PendingDeploymentSummary && [h('h2', null, 'Deployment in progress'), json(found.PendingDeploymentSummary)],
    h('h2', null, 'Metrics of the last hour'), h('div', { class: 'grid' }, plots.flat()),
    h('h2', null, 'Scaling activities'), table(['When', 'What', 'Status'], scaled.map((one) => [at(one.StartTime), one.Description, status(one.StatusCode)]), 'None.'),
    h('h2', null, 'Logs of the containers'), logs,
    config && [h('h2', null, 'Config'), json(config)],
  ];
}

async function metrics(endpointName, variant) {
  const end = new Date();
  const dimensions = [{ Name: 'EndpointName', Value: endpointName }, { Name: 'VariantName', Value: variant }];
  const wanted = [['Invocations', 'Sum'], ['ModelLatency', 'Average'], ['Invocation5XXErrors', 'Sum']];
  const answer = await optional(call('cloudwatch', 'GetMetricData', {
    StartTime: new Date(end - 3600e3).toISOString(), EndTime: end.toISOString(), ScanBy: 'TimestampAscending',
    MetricDataQueries: wanted.map(([name, stat], i) => ({ Id: `m${i}`, MetricStat: { Metric: { Namespace: 'AWS/SageMaker', MetricName: name, Dimensions: dimensions }, Period: 60, Stat: stat } })),
  }), { MetricDataResults: [] });
  return wanted.map(([name, stat], i) => plot(`${variant}: ${name} (${stat})`, answer.MetricDataResults.find((one) => one.Id === `m${i}`), end));
}

function plot(title, series, end) {
  const values = series?.Values ?? [];
  const most = Math.max(...values, 0);
  const card = h('div', { class: 'card' }, h('div', null, title), h('div', { class: 'muted' }, values.length ? `newest ${round(values.at(-1))}, most ${round(most)}` : 'no data'));
  if (values.length) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', '0 0 60 20');
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('role', 'img');
    svg.setAttribute('aria-label', title);
    const line = document.createElementNS(SVG, 'polyline');
    const points = series.Timestamps.map((time, i) => `${60 - (end - new Date(time)) / 60e3},${19 - (most ? (18 * values[i]) / most : 0)}`);
    line.setAttribute('points', [...points, points.at(-1)].join(' ')); // the last one twice, so that one alone is a dot
    svg.append(line);
    card.append(svg);
  }
  return card;
}

const round = (value) => (Math.abs(value) >= 100 ? Math.round(value) : Math.round(value * 100) / 100).toLocaleString();

async function logLines(group) {
  const { logStreams = [] } = await optional(call('logs', 'DescribeLogStreams', { logGroupName: group, orderBy: 'LastEventTime', descending: true, limit: 5 }), {});
  const parts = await Promise.all(logStreams.map(async ({ logStreamName }) => {
    const { events = [] } = await optional(call('logs', 'GetLogEvents', { logGroupName: group, logStreamName, limit: 200 }), {});
    return [h('h3', null, logStreamName), h('pre', { tabindex: 0 }, events.map((one) => `${new Date(one.timestamp).toISOString()} ${one.message}`).join('\n') || 'No lines.')];
  }));
  return parts.length ? h('div', null, parts.flat()) : h('p', { class: 'muted' }, `There are no logs in ${group} yet.`);
}

async function alarms(name) {
  const kinds = ['MetricAlarm', 'CompositeAlarm'].map((kind) => all('cloudwatch', 'DescribeAlarms', `${kind}s`, { AlarmTypes: [kind], ...(name && { AlarmNames: [name] }) }));
  const found = (await Promise.all(kinds)).flat();
  if (name) return [h('h1', null, name), found.length ? [h('p', null, status(found[0].StateValue), ' ', found[0].StateReason), json(found[0])] : h('p', { class: 'bad' }, 'There is no such alarm.')];
  return [h('h1', null, 'Alarms'), table(['Alarm', 'State', 'Reason', 'Since'], found.map((one) => [link(one.AlarmName, 'alarms', one.AlarmName), status(one.StateValue), one.StateReason, at(one.StateUpdatedTimestamp)]), 'There is no alarm in this Region yet.')];
}

async function requests() {
  const found = (await ask('GET', 'requests')).requests.reverse();
  return [h('h1', null, 'Requests'), table(['Time', 'Service', 'Operation', 'Resource', 'Status', 'Faults'],
    found.map((one) => [at(one.time), one.service, one.operation, one.resource, h('span', { class: one.error ? 'bad' : 'good' }, one.error ?? one.status), one.faults.join(', ')]),
    'Nothing was asked yet.')];
}

async function faults() {
  const found = (await ask('GET', 'faults')).faults;
  const add = (members) => act(() => ask('POST', 'faults', members));
  const operation = h('input', { name: 'operation', placeholder: 'UpdateEndpoint', 'aria-label': 'Operation' });
  return [
    h('h1', null, 'Faults'),
    h('p', { class: 'muted' }, 'A fault hits the next requests of an operation, or of all operations.'),
    h('form', { class: 'row', onsubmit: (event) => event.preventDefault() },
      h('label', null, 'Operation (empty: all)', operation),
      h('button', { type: 'button', onclick: () => add(about(operation, { kind: 'throttle', count: 3 })) }, 'Throttle 3 requests'),
      h('button', { type: 'button', onclick: () => add(about(operation, { kind: 'delay', delay: 2, count: 3 })) }, 'Delay 3 requests by 2 s'),
      h('button', { type: 'button', onclick: () => act(() => ask('DELETE', 'faults')) }, 'Remove all')),
    h('h2', null, 'In place'), found.length ? json(found) : h('p', { class: 'muted' }, 'None.'),
  ];
}

const about = (field, members) => (field.value.trim() ? { ...members, operation: field.value.trim() } : members);

async function act(change) {
  try {
    await change();
    await show();
  } catch (error) {
    failed(error);
  }
}

const described = (title, service, operation, members) => async () => [h('h1', null, title), json(await call(service, operation, members))];

const VIEWS = {
  endpoints: (name) => (name ? () => endpoint(name) : endpoints),
  alarms: (name) => () => alarms(name),
  requests: () => requests,
  faults: () => faults,
  'endpoint-configs': (name) => described(name, 'sagemaker', 'DescribeEndpointConfig', { EndpointConfigName: name }),
  models: (name) => described(name, 'sagemaker', 'DescribeModel', { ModelName: name }),
  'inference-components': (name) => described(name, 'sagemaker', 'DescribeInferenceComponent', { InferenceComponentName: name }),
  repositories: (name) => described(name, 'ecr', 'DescribeImages', { repositoryName: name }),
  objects: (bucket, key) => described(`s3://${bucket}/${key}`, 's3', 'HeadObject', { Bucket: bucket, Key: key }),
  dashboards: (name) => described(name, 'cloudwatch', 'GetDashboard', { DashboardName: name }),
  logs: (kind, name) => async () => [h('h1', null, `Logs of ${name}`), await logLines(`/aws/sagemaker/${kind === 'components' ? 'InferenceComponents' : 'Endpoints'}/${name}`)],
};

const view = document.getElementById('view');
const failed = (error) => view.replaceChildren(h('p', { class: 'bad', role: 'alert' }, error.message || 'The server does not answer.'));

async function show() {
  try {
    const [kind = 'endpoints', ...rest] = location.pathname.slice(PREFIX.length).split('/').filter(Boolean).map(decodeURIComponent);
    for (const one of document.querySelectorAll('nav a')) {
      if (one.pathname === `${PREFIX}/${kind}`) one.setAttribute('aria-current', 'page');
    }
    if (!(kind in VIEWS)) throw new Error(`There is no view ${kind}.`);
    view.replaceChildren(...[await VIEWS[kind](...rest)()].flat(3).filter(Boolean));
    document.title = `${rest[0] ?? kind} – Local AWS`;
  } catch (error) {
    failed(error);
  }
}

ask('GET', 'server').then((found) => { document.getElementById('server').textContent = `${region ?? found.region}, engine ${found.engine}`; }, () => {});
show();
setInterval(() => { if (!document.hidden && !view.contains(document.activeElement)) show(); }, 5000);
