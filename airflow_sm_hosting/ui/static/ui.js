// The page "Endpoints" and the tab "Deployment": an ES module without a build, with the React of Airflow's UI (a second copy would break
// hooks). Data come from Airflow's REST API with the user's session, so Airflow decides what they may see. Stored text is only ever a text
// node of React, never markup.
const { createElement: h, Fragment, useCallback, useEffect, useMemo, useRef, useState } = globalThis.React;
const BASE = document.baseURI; // ends with the path of [api] base_url
const Link = globalThis.ReactRouterDOM?.Link
  ?? (({ to, children, ...rest }) => h('a', { href: new URL(to.replace(/^\//, ''), BASE).href, ...rest }, children));

const DOCS = 'https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/endpoints-page.md';
const ROLLBACK_DAG = 'rollback_endpoint';
const OPERATORS = ['DeployEndpointOperator', 'RollbackEndpointOperator', 'DeployInferenceComponentOperator',
  'RollbackInferenceComponentOperator', 'ShiftTrafficOperator', 'PromoteShadowOperator', 'DeleteEndpointOperator'];
const PLANNERS = ['PlanDeploymentOperator', 'PlanInferenceComponentOperator'];
const RUNNING = ['running', 'deferred', 'queued', 'scheduled', 'up_for_retry', 'restarting']; // all of these in Airflow 3.1, which refuses others
const ENDED = ['success', 'failed', 'skipped', 'upstream_failed', 'removed'];
const PAGE = 100; // the largest page of Airflow's API by default
const MOST_PAGES = 50; // 5,000 endpoints
const SHOWN = 25; // endpoints, and history entries, at a time
const AT_ONCE = 6; // concurrent calls for details
const REFRESH = 15_000;
const REFRESH_TAB = 3_000;
const HIDDEN = { hidden: true }; // an event that exists, of a DAG that the user may not read

// Chakra's variables follow light, dark and [api] theme on all versions; ChakraUI itself is a global only from 3.2 on.
const color = (name) => `var(--chakra-colors-${name})`;
const FLEETS = ['blue', 'orange', 'purple', 'teal', 'pink', 'cyan'].map((name) => color(`${name}-solid`));
const CSS = `
.smh{--smh-line:1px solid ${color('border')};padding:1.25rem 1.5rem 3rem;font-size:14px;line-height:1.45;color:${color('fg')};height:100%;overflow:auto;box-sizing:border-box}
.smh *{box-sizing:border-box}
.smh-head{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:center;margin-bottom:1rem}
.smh-head h1{font-size:1.35rem;font-weight:650;margin-right:auto;letter-spacing:-.01em}
.smh h1 small{font-size:.85rem;font-weight:400;color:${color('fg-muted')};margin-left:.6rem;letter-spacing:0}
.smh h2{font-size:.75rem;font-weight:650;text-transform:uppercase;letter-spacing:.06em;color:${color('fg-muted')};margin:0 0 .5rem}
.smh-muted{color:${color('fg-muted')}} .smh-mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.92em;overflow-wrap:anywhere}
.smh input,.smh select{border:var(--smh-line);border-radius:6px;padding:.35rem .6rem;background:${color('bg')};color:inherit;font-size:14px;min-height:2.1rem}
.smh input[type=search]{width:17rem;max-width:100%} .smh select option{background:${color('bg')};color:${color('fg')}}
.smh-button{border:var(--smh-line);border-radius:6px;padding:.3rem .75rem;background:${color('bg')};color:inherit;cursor:pointer;font-size:13px;min-height:2rem}
.smh-button:hover{background:${color('bg-muted')}}
.smh :focus-visible{outline:2px solid ${color('blue-solid')};outline-offset:2px}
.smh a{color:${color('fg-info')};text-decoration:underline;text-underline-offset:2px}
.smh-list{border:var(--smh-line);border-radius:10px;overflow:hidden;background:${color('bg')}}
.smh-row{display:grid;grid-template-columns:minmax(13rem,1.3fr) minmax(12rem,1.2fr) minmax(13rem,1.4fr) minmax(9rem,.8fr) 1.25rem;gap:.5rem 1.25rem;align-items:center;width:100%;padding:.75rem 1rem;text-align:left;background:none;border:0;color:inherit;cursor:pointer;font:inherit}
.smh-item+.smh-item{border-top:var(--smh-line)} .smh-row:hover{background:${color('bg-muted')}} .smh-row:focus-visible{outline-offset:-2px}
.smh-row>span{min-width:0;display:block} .smh-row>span>span{display:block;overflow:hidden;text-overflow:ellipsis;white-space:nowrap} .smh-row .smh-change{white-space:normal}
.smh-name{font-weight:600} .smh-chevron{transition:transform .15s;color:${color('fg-muted')};justify-self:end} [aria-expanded=true]>.smh-chevron{transform:rotate(90deg)}
.smh-badge{display:inline-flex!important;align-items:center;gap:.4rem;white-space:nowrap;font-size:13px}
.smh-badge i{width:.55rem;height:.55rem;border-radius:50%;flex:none;display:inline-block}
.smh-pulse{animation:smh-pulse 1.4s ease-in-out infinite} @keyframes smh-pulse{50%{opacity:.25}}
@media (prefers-reduced-motion:reduce){.smh-pulse,.smh-chevron,.smh-bar i{animation:none!important;transition:none!important}}
.smh-bar{display:flex!important;height:.5rem;border-radius:999px;overflow:hidden;background:${color('bg-muted')};gap:2px} .smh-bar i{display:block;transition:flex-grow .6s}
.smh-legend{display:flex!important;white-space:normal!important;flex-wrap:wrap;gap:.1rem .9rem;font-size:12.5px;margin-top:.3rem;color:${color('fg-muted')}}
.smh-legend i,.smh-swatch{width:.6rem;height:.6rem;border-radius:2px;display:inline-block;margin-right:.35rem}
.smh-open{padding:1rem 1.25rem 1.5rem;border-top:var(--smh-line);background:${color('bg')};display:grid;grid-template-columns:minmax(0,1fr) 20rem;gap:1.25rem 2rem}
.smh-open>.smh-wide{grid-column:1/-1;min-width:0} @media(max-width:60rem){.smh-open{grid-template-columns:minmax(0,1fr)}.smh-row{grid-template-columns:1fr 1fr 1.25rem}.smh-row>span:nth-child(3),.smh-row>span:nth-child(4){grid-column:span 1}}
.smh-table{width:100%;border-collapse:collapse;font-size:13px} .smh-table th{text-align:left;font-weight:550;color:${color('fg-muted')};padding:.3rem .75rem .3rem 0;white-space:nowrap;border-bottom:var(--smh-line)}
.smh-table td{padding:.45rem .75rem .45rem 0;vertical-align:top;border-bottom:var(--smh-line)} .smh-table tr:last-child td{border-bottom:0} .smh-scroll{overflow-x:auto}
.smh-facts{display:grid;grid-template-columns:auto minmax(0,1fr);gap:.3rem 1rem;font-size:13px} .smh-facts dt{color:${color('fg-muted')}} .smh-facts dd{margin:0;overflow-wrap:anywhere}
.smh-error{border-left:3px solid ${color('red-solid')};background:${color('bg')};padding:.5rem .75rem;margin:.35rem 0 0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px;border-radius:0 6px 6px 0;max-height:32rem;overflow:auto}
.smh-note{border:var(--smh-line);border-left:3px solid ${color('orange-solid')};border-radius:6px;padding:.6rem .9rem;margin-bottom:1rem;font-size:13px}
.smh-state{border:1px dashed ${color('border')};border-radius:10px;padding:3rem 1.5rem;text-align:center;max-width:44rem;margin:3rem auto} .smh-state strong{display:block;font-size:1.05rem;margin-bottom:.4rem} .smh-state p{color:${color('fg-muted')};margin:0 auto .9rem;max-width:34rem}
.smh-bone{height:.8rem;border-radius:4px;background:${color('bg-muted')};animation:smh-pulse 1.4s ease-in-out infinite} .smh-more{display:flex;justify-content:center;align-items:center;gap:1rem;padding:.9rem}
.smh-time{list-style:none;margin:0;padding:0} .smh-time li{display:grid;grid-template-columns:4.5rem 1.1rem minmax(0,1fr);gap:.6rem;position:relative;padding-bottom:1rem;font-size:13px}
.smh-time li>i{width:.7rem;height:.7rem;border-radius:50%;margin:.28rem .15rem;z-index:1} .smh-time li:not(:last-child)::before{content:"";position:absolute;left:5.55rem;top:.9rem;bottom:-.2rem;width:2px;background:${color('border')}}
.smh-time time{color:${color('fg-muted')};text-align:right;font-variant-numeric:tabular-nums}
.smh-card{border:var(--smh-line);border-radius:10px;padding:1rem 1.25rem;margin-bottom:1rem;background:${color('bg')};max-width:70rem} .smh-diff del{color:${color('fg-error')};text-decoration:none} .smh-diff ins{color:${color('fg-success')};text-decoration:none}
.smh-mark{display:inline-block;font-size:12px;border:var(--smh-line);border-radius:999px;padding:0 .5rem;margin-right:.3rem}
.smh-visually-hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}`;

// Asking Airflow.

class RestError extends Error {
  constructor(status, text) { super(text); this.status = status; }
}

async function get(path) {
  const url = new URL(`api/v2/${path}`, BASE);
  let answer;
  try {
    answer = await fetch(url, { credentials: 'same-origin', headers: { Accept: 'application/json' } });
  } catch (error) {
    throw new RestError(0, String(error?.message ?? error));
  }
  if (answer.status === 404) return null;
  if (!answer.ok) throw new RestError(answer.status, answer.statusText);
  return answer.json();
}

/** Run a function for each item, a few at a time; return the results. */
async function each(items, work) {
  const results = new Array(items.length);
  let next = 0;
  const worker = async () => { while (next < items.length) { const i = next++; results[i] = await work(items[i]); } };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker));
  return results;
}

const query = (members) => new URLSearchParams(Object.entries(members).flatMap(([name, value]) =>
  (Array.isArray(value) ? value.map((one) => [name, one]) : [[name, value]]))).toString();
const ofTask = (t) => ['dags', t.dag_id, 'dagRuns', t.dag_run_id, 'taskInstances', t.task_id].map(encodeURIComponent).join('/');
const ofMapped = (t) => ofTask(t) + (t.map_index >= 0 ? `/${t.map_index}` : '');
const xcom = async (task, key) => {
  const found = await get(`${ofTask(task)}/xcomEntries/${key}?${query({ map_index: task.map_index ?? -1, deserialize: false, stringify: false })}`);
  const value = found?.value ?? null;
  if (typeof value !== 'string') return value;
  try { return JSON.parse(value); } catch { return value; }
};
const assetPage = (offset) => get(`assets?${query({ uri_pattern: 'sagemaker://', only_active: false, order_by: 'name', limit: PAGE, offset })}`);
const eventsOf = (id, limit, offset = 0) => get(`assets/events?${query({ asset_id: id, order_by: '-timestamp', limit, offset })}`);

/** Return running and failed deployments, newest first. */
async function openTasks() {
  const found = await get(`dags/~/dagRuns/~/taskInstances?${query({ operator: OPERATORS, state: [...RUNNING, 'failed'], order_by: '-start_date', limit: PAGE })}`);
  const tasks = (found?.task_instances ?? []).filter((t) => OPERATORS.includes(t.operator));
  // Airflow 3.1 leaves rendered fields out of lists.
  return each(tasks.slice(0, PAGE), async (t, i) => {
    const hasFields = Object.keys(t.rendered_fields ?? {}).length > 0 || t.state === 'scheduled' || t.state === 'queued';
    return hasFields ? t : ((await get(ofMapped(t)).catch(() => null)) ?? t);
  });
}

// Reading what was stored: any of it may be missing, or of another version.

const text = (value) => (value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value));
const list = (value) => (Array.isArray(value) ? value.filter((one) => one && typeof one === 'object') : []);
const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const place = (uri) => {
  const found = /^sagemaker:\/\/([^/]+)\/endpoint\/([^/?#]+)/.exec(uri ?? '');
  return found ? { region: found[1], name: decodeURIComponent(found[2]) } : null;
};
const endpointOf = (task) => {
  const fields = task.rendered_fields ?? {};
  const name = text(fields.endpoint_name);
  return name ? { name: name.split('/').pop(), region: name.startsWith('arn:') ? name.split(':')[3] : text(fields.region_name) } : null;
};
const belongs = (task, endpoint) => {
  const at = endpointOf(task);
  return at !== null && at.name.toLowerCase() === endpoint.name.toLowerCase() && (!at.region || at.region === 'None' || !endpoint.region || at.region === endpoint.region);
};
const isRunning = (task) => RUNNING.includes(task.state);

const OUTCOMES = {
  succeeded: ['Deployed', 'green-solid'], unchanged: ['Unchanged', 'border'], skipped: ['Skipped', 'border'],
  rolled_back: ['Rolled back', 'orange-solid'], timed_out: ['Timed out', 'red-solid'], failed: ['Failed', 'red-solid'],
  running: ['Deploying', 'blue-solid'],
};
const ACTIONS = { create: 'Created', update: 'Updated', replace: 'Replaced', rollback: 'Rollback', shift: 'Shifted traffic', delete: 'Deleted', join: 'Joined' };
const STATUSES = { InService: 'green-solid', Deleted: 'border', Updating: 'blue-solid', Creating: 'blue-solid', SystemUpdating: 'blue-solid', RollingBack: 'orange-solid', Failed: 'red-solid', OutOfService: 'red-solid', UpdateRollbackFailed: 'red-solid' };

const WORDS = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
function ago(moment) {
  const seconds = (Date.parse(moment) - Date.now()) / 1000;
  if (!Number.isFinite(seconds)) return '';
  const units = [['day', 86400], ['hour', 3600], ['minute', 60]];
  const [unit, size] = units.find(([, one]) => Math.abs(seconds) >= one) ?? ['second', 1];
  return unit === 'second' && Math.abs(seconds) < 45 ? 'just now' : WORDS.format(Math.round(seconds / size), unit);
}
function duration(seconds) {
  if (number(seconds) === null) return '';
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} m ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} m`;
}
const clock = (moment) => new Date(moment).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const when = (moment) => h('time', { dateTime: moment, title: clock(moment) }, ago(moment));
const digest = (image) => {
  const [, repository, hash] = /([^/@]+)@sha256:([0-9a-f]+)/.exec(text(image)) ?? [];
  return hash ? `${repository}@${hash.slice(0, 12)}` : text(image).split('/').pop();
};
const shares = (variants) => {
  const weights = variants.map((one) => Math.max(0, number(one.weight) ?? 0));
  const total = weights.reduce((sum, one) => sum + one, 0);
  return weights.map((one) => (total > 0 ? one / total : variants.length === 1 ? 1 : 0));
};
const percent = (share) => `${share > 0 && share < 0.01 ? '<1' : Math.round(share * 100)} %`;
const instances = (one) => {
  if (one.instance_type === 'serverless') return 'serverless';
  const current = number(one.current), desired = number(one.desired);
  if (current === null && desired === null) return '';
  return current === desired || current === null || desired === null ? `${current ?? desired}` : `${current} → ${desired}`;
};

const sized = (one) => {
  const count = instances(one);
  if (!count || one.instance_type === 'serverless') return count;
  return one.instance_type ? `${count} × ${text(one.instance_type).replace(/^ml\./, '')}` : `${count} instance${count === '1' ? '' : 's'}`;
};

// Parts of the screen.

const Frame = ({ children, ...rest }) => h('div', { className: 'smh', ...rest }, h('style', null, CSS), children);
const Badge = ({ label, tone, busy }) => h('span', { className: 'smh-badge' }, h('i', { 'aria-hidden': true, className: busy ? 'smh-pulse' : undefined, style: { background: color(tone) } }), label);
const Outcome = ({ outcome }) => {
  const [label, tone] = OUTCOMES[outcome] ?? [text(outcome) || 'Unknown', 'border'];
  return h(Badge, { label, tone, busy: outcome === 'running' });
};
const State = ({ title, children, action }) => h('div', { className: 'smh-state', role: 'status' }, h('strong', null, title), h('p', null, children), action);
const Mono = ({ children, title }) => h('span', { className: 'smh-mono', title }, children);
const runLink = (t, label) => h(Link, { to: `/dags/${encodeURIComponent(t.dag_id)}/runs/${encodeURIComponent(t.dag_run_id)}/tasks/${encodeURIComponent(t.task_id)}${t.map_index >= 0 ? `/mapped/${t.map_index}` : ''}` }, label ?? t.dag_id);

function Problem({ error, again, denied = { title: 'You may not see endpoints', needs: 'This page needs the permissions to view assets and DAG runs.' } }) {
  const retry = again && h('button', { type: 'button', className: 'smh-button', onClick: again }, 'Try again');
  // Airflow's own address for a login: it leads to that of the auth manager, and back here.
  const login = new URL(`api/v2/auth/login?${query({ next: globalThis.location.href })}`, BASE).href;
  if (error.status === 401) return h(State, { title: 'Your session has ended', action: h('a', { href: login }, 'Log in again') }, 'Log in to Airflow to see the endpoints.');
  if (error.status === 403) return h(State, { title: denied.title, action: retry }, `${denied.needs} Ask an administrator of this Airflow.`);
  return h(State, { title: 'Airflow did not answer', action: retry }, error.status ? `The API answered ${error.status} ${text(error.message)}.` : `The API server could not be reached (${text(error.message)}).`);
}

function Traffic({ variants, legend }) {
  const share = shares(variants);
  const told = variants.map((one, i) => `${text(one.name)} ${percent(share[i])}`).join(', ');
  return h(Fragment, null,
    h('span', { className: 'smh-bar', role: 'img', 'aria-label': `Traffic: ${told}` },
      variants.map((one, i) => h('i', { key: i, title: `${text(one.name)}: ${percent(share[i])}`, style: { flexGrow: share[i], flexBasis: 0, minWidth: share[i] > 0 ? 3 : 0, display: share[i] > 0 ? 'block' : 'none', background: FLEETS[i % FLEETS.length] } }))),
    legend && h('span', { className: 'smh-legend' }, variants.slice(0, 4).map((one, i) => h('span', { key: i, style: { display: 'inline' } },
      h('i', { 'aria-hidden': true, style: { background: FLEETS[i % FLEETS.length] } }), `${text(one.name)} ${percent(share[i])}${instances(one) ? ` · ${sized(one)}` : ''}`))));
}

function Variants({ variants }) {
  const share = shares(variants);
  return h('div', { className: 'smh-scroll' }, h('table', { className: 'smh-table' },
    h('thead', null, h('tr', null, ['Variant', 'Traffic', 'Instances', 'Image', 'Artifact'].map((one) => h('th', { key: one, scope: 'col' }, one)))),
    h('tbody', null, variants.map((one, i) => h('tr', { key: i },
      h('td', null, h('i', { className: 'smh-swatch', 'aria-hidden': true, style: { background: FLEETS[i % FLEETS.length] } }), h('strong', null, text(one.name))),
      h('td', null, percent(share[i])),
      h('td', null, sized(one),
        number(one.max_capacity) !== null && h('div', { className: 'smh-muted' }, `scales ${number(one.min_capacity) ?? 0}–${one.max_capacity}`)),
      h('td', null, one.image ? h(Mono, { title: text(one.image) }, digest(one.image)) : h('span', { className: 'smh-muted' }, 'not recorded')),
      h('td', null, one.artifact ? h(Mono, { title: text(one.artifact) }, text(one.artifact).split('/').slice(-2).join('/')) : h('span', { className: 'smh-muted' }, 'not recorded')))))));
}

/** Return the variants of a record; what it does not tell of its config is taken from older records of the same config. */
function completed(record, records) {
  const same = records.filter((one) => one.endpoint_config_name === record.endpoint_config_name && one.kind !== 'inference component');
  return list(record.variants).map((variant) => {
    const older = same.flatMap((one) => list(one.variants)).filter((one) => one.name === variant.name);
    const first = (member) => older.map((one) => one[member]).find((value) => value !== undefined && value !== null);
    return { ...variant, ...Object.fromEntries(['instance_type', 'image', 'artifact'].map((member) => [member, variant[member] ?? first(member)])) };
  });
}

function Failure({ children }) {
  return children ? h('div', { className: 'smh-error', tabIndex: 0, role: 'group', 'aria-label': 'Reason of the failure' }, text(children)) : null;
}

const inWords = (stage) => stage.replace(/([a-z])([A-Z])/g, '$1 $2').toLowerCase();

/** Return what an entry of the timeline says in words. */
function told(entry) {
  const serving = list(entry.serving), coming = list(entry.coming);
  if (!entry.pending || entry.pending === entry.config) return `${text(entry.status)}${entry.config ? ` on ${text(entry.config)}` : ''}`;
  const stage = coming.map((one) => text(one.stage)).find(Boolean) || serving.map((one) => text(one.stage)).find(Boolean);
  const traffic = number(entry.moved) !== null ? `${entry.moved} % of traffic on ${text(entry.pending)}` : `${text(entry.status)} to ${text(entry.pending)}`;
  return [traffic, stage && inWords(stage)].filter(Boolean).join(', ');
}

/** Return the variants of both fleets, with their parts of the traffic as weights. */
function fleets(entry) {
  const serving = list(entry.serving), coming = list(entry.coming);
  if (!coming.length) return serving;
  const moved = serving.length ? (number(entry.moved) ?? 0) / 100 : 1, old = shares(serving), next = shares(coming);
  return [...serving.map((one, i) => ({ ...one, name: `${text(one.name)} (before)`, weight: old[i] * (1 - moved) })),
    ...coming.map((one, i) => ({ ...one, name: `${text(one.name)} (new)`, weight: (next.some(Boolean) ? next[i] : 1 / coming.length) * moved }))];
}

function Timeline({ entries, running, rollout }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 1000);
    return () => clearInterval(timer);
  }, [running]);
  const interval = number(entries.at(-1)?.bake_seconds) ?? number(rollout?.BlueGreenUpdatePolicy?.TrafficRoutingConfiguration?.WaitIntervalInSeconds) ?? number(rollout?.RollingUpdatePolicy?.WaitIntervalInSeconds);
  return h('ol', { className: 'smh-time' }, entries.map((entry, i) => {
    const isLast = i === entries.length - 1;
    const until = isLast ? (running ? Date.now() / 1000 : null) : number(entries[i + 1].at);
    const coming = list(entry.coming), serving = list(entry.serving);
    const baking = [...coming, ...serving].find((one) => /baking/i.test(text(one.stage)));
    const baked = isLast && running && baking && number(baking.since) !== null ? Date.now() / 1000 - baking.since : null;
    return h('li', { key: i }, h('time', null, new Date(entry.at * 1000).toLocaleTimeString('en-GB')),
      h('i', { 'aria-hidden': true, className: isLast && running ? 'smh-pulse' : undefined, style: { background: color(STATUSES[entry.status] ?? 'border') } }),
      h('div', null, h('strong', null, told(entry)), until !== null && number(entry.at) !== null && h('span', { className: 'smh-muted' }, `  ${duration(until - entry.at)}`),
        baked !== null && h('div', null, `baked ${duration(baked)}${interval !== null ? `, ${duration(Math.max(0, interval - baked))} left` : ''}`),
        coming.length + serving.length > 0 && h('div', { style: { maxWidth: '28rem', margin: '.35rem 0' } }, h(Traffic, { variants: fleets(entry), legend: true }))));
  }));
}

// The page.

/** Return the state of a polled function: its value, its error, and a function that asks again. */
function usePolled(look, every, deps) {
  const [seen, setSeen] = useState({});
  const again = useRef(() => {});
  useEffect(() => {
    let timer, gone = false, busy = false;
    const turn = async () => {
      clearTimeout(timer);
      if (busy || gone) return;
      busy = true;
      let finished = false;
      if (!document.hidden || !again.current.looked) {
        try {
          const value = await look();
          finished = value?.finished === true;
          if (!gone) setSeen({ value });
        } catch (error) {
          if (!gone) setSeen((before) => ({ value: before.value, error }));
        }
        again.current.looked = true;
      }
      busy = false;
      if (!gone && !finished) timer = setTimeout(turn, every);
    };
    again.current = turn;
    turn();
    return () => { gone = true; clearTimeout(timer); };
  }, deps);
  return { ...seen, again: useCallback(() => again.current(), []) };
}

function History({ asset, endpoint, tasks }) {
  const [entries, setEntries] = useState(null);
  const [error, setError] = useState(null);
  const [limit, setLimit] = useState(SHOWN);
  const open = tasks.map((t) => `${t.id}:${t.state}`).join();
  useEffect(() => {
    let gone = false;
    (async () => {
      const pages = asset ? await each(Array.from({ length: Math.ceil(limit / PAGE) }, (_, i) => i * PAGE), (offset) => eventsOf(asset.id, Math.min(PAGE, limit - offset), offset)) : [];
      const events = pages.flatMap((one) => one?.asset_events ?? []);
      const total = pages[0]?.total_entries ?? 0;
      const oldest = events.length < total ? events.at(-1)?.timestamp : '';
      const failed = tasks.filter((t) => !isRunning(t) && (!oldest || (t.start_date ?? '') >= oldest)).slice(0, SHOWN);
      const records = await each(failed, (t) => xcom(t, 'record').catch(() => null));
      const rows = [
        ...events.map((e) => ({ key: `e${e.id}`, at: e.timestamp, record: e.extra ?? {}, run: e.source_dag_id && { dag_id: e.source_dag_id, dag_run_id: e.source_run_id, task_id: e.source_task_id, map_index: e.source_map_index } })),
        ...failed.map((t, i) => ({ key: `t${t.id}`, at: t.end_date ?? t.start_date, run: t, record: records[i] ?? { outcome: 'failed', requested_endpoint_config_name: t.rendered_fields?.endpoint_config_name, seconds: t.duration, failure: 'The task ended without a record; see its log.' } })),
      ].sort((a, b) => text(b.at).localeCompare(text(a.at)));
      if (!gone) { setEntries({ rows, total }); setError(null); }
    })().catch((problem) => !gone && setError(problem));
    return () => { gone = true; };
  }, [asset?.id, asset?.last_asset_event?.id, open, limit]);
  if (error) return h(Problem, { error, again: () => setLimit((n) => n + 0.001) });
  if (!entries) return h('div', { className: 'smh-wide' }, h(Bones, { rows: 3 }));
  const shown = asset ? entries.rows.map((row) => row.record) : [];
  const serving = shown.find((one) => one.kind !== 'inference component' && one.outcome === 'succeeded');
  const serves = entries.rows.find((row) => row.record === serving)?.at;
  const components = [...new Map(shown.filter((one) => one.kind === 'inference component' && one.outcome === 'succeeded').reverse().map((one) => [one.name, one])).values()];
  const running = tasks.filter(isRunning);
  if (asset?.last_asset_event && !entries.rows.length && !running.length) {
    return h('p', { className: 'smh-wide smh-muted' }, 'You may not see the DAGs that have deployed this endpoint. Ask an administrator of this Airflow for the permission to view them.');
  }
  return h(Fragment, null,
    running.map((t) => h('div', { key: t.id, className: 'smh-wide' }, h(Live, { task: t }))),
    h('section', { style: { minWidth: 0 } }, h('h2', null, 'Serves'),
      serving ? h(Fragment, null,
        h('p', { style: { margin: '0 0 .6rem' } }, h(Mono, null, text(serving.endpoint_config_name) || '–'), serves && h('span', { className: 'smh-muted' }, ' since ', when(serves))),
        list(serving.variants).length > 0 && h(Variants, { variants: completed(serving, shown) }))
        : h('p', { className: 'smh-muted' }, components.length ? 'Inference components:' : 'No deployment of this endpoint has succeeded yet.'),
      components.map((one) => h('p', { key: text(one.name) }, h('strong', null, text(one.name)), ' ', h(Mono, null, text(one.endpoint_config_name)), list(one.variants).length > 0 && ` · ${instances(list(one.variants)[0])} copies`))),
    h('section', null,
      h('h2', null, 'Alarms'), list(serving?.alarms).length
        ? h('ul', { style: { listStyle: 'none', padding: 0, margin: '0 0 1.1rem' } }, list(serving.alarms).map((one, i) => h('li', { key: i }, h(Badge, { label: text(one.name), tone: { OK: 'green-solid', ALARM: 'red-solid' }[one.state] ?? 'border' }), one.state && h('span', { className: 'smh-muted' }, ` ${text(one.state)} at deployment`))))
        : h('p', { className: 'smh-muted', style: { margin: '0 0 1.1rem' } }, 'No alarm rolls deployments back.'),
      h('h2', null, 'Rollback'), h(Rollback, { endpoint, record: serving })),
    h('section', { className: 'smh-wide' }, h('h2', null, 'History'),
      entries.rows.length ? h('div', { className: 'smh-scroll' }, h('table', { className: 'smh-table' },
        h('thead', null, h('tr', null, ['When', 'Outcome', 'From → to', 'Took', 'By', 'Run'].map((one) => h('th', { key: one, scope: 'col' }, one)))),
        h('tbody', null, entries.rows.map((row) => h(Entry, { key: row.key, ...row })))))
        : h('p', { className: 'smh-muted' }, 'Nothing is recorded yet.'),
      limit < entries.total && h('div', { className: 'smh-more' }, h('button', { type: 'button', className: 'smh-button', onClick: () => setLimit((n) => n + PAGE) }, `Show older of ${entries.total.toLocaleString()}`))));
}

function Entry({ at, record, run }) {
  const to = record.outcome === 'succeeded' ? record.endpoint_config_name : record.requested_endpoint_config_name ?? record.endpoint_config_name;
  const from = record.previous_endpoint_config_name;
  const label = record.outcome === 'succeeded' && ACTIONS[record.action] ? h(Badge, { label: ACTIONS[record.action], tone: 'green-solid' }) : h(Outcome, { outcome: record.outcome });
  const who = text(record.triggered_by) || text(record.run_type).replace(/_/g, ' ');
  return h('tr', null,
    h('td', { style: { whiteSpace: 'nowrap' } }, at && when(at)),
    h('td', null, label),
    h('td', { style: { width: '50%' } }, record.kind === 'inference component' && h('span', { className: 'smh-mark' }, text(record.name)),
      from && from !== to && h(Fragment, null, h(Mono, null, text(from)), ' → '), h(Mono, null, text(to) || '–'),
      record.outcome !== 'succeeded' && record.status !== 'Failed' && record.endpoint_config_name && record.endpoint_config_name !== to && h('div', { className: 'smh-muted' }, 'serves ', h(Mono, null, text(record.endpoint_config_name))),
      h(Failure, null, record.failure)),
    h('td', { style: { whiteSpace: 'nowrap' } }, duration(record.seconds)),
    h('td', null, who, record.approved_by && h('div', { className: 'smh-muted' }, `approved by ${text(record.approved_by)}`)),
    h('td', null, run ? runLink(run) : h('span', { className: 'smh-muted' }, 'deleted')));
}

function Rollback({ endpoint, record }) {
  const [dag, setDag] = useState(undefined);
  const [copied, setCopied] = useState(false);
  useEffect(() => { let gone = false; get(`dags/${ROLLBACK_DAG}`).catch(() => null).then((found) => !gone && setDag(found)); return () => { gone = true; }; }, []);
  const target = text(record?.rollback_to);
  if (!target) return h('p', { className: 'smh-muted' }, 'There is no earlier config to go back to.');
  const conf = JSON.stringify({ endpoint_name: endpoint.name, region_name: endpoint.region || null });
  return h(Fragment, null, h('p', { style: { margin: '0 0 .5rem' } }, 'Goes back to ', h(Mono, null, target), '.'),
    dag === undefined ? null : dag === null
      ? h('p', { className: 'smh-muted' }, `Add the example DAG ${ROLLBACK_DAG} to start it from here.`)
      : h('p', { style: { margin: 0, display: 'flex', gap: '.75rem', alignItems: 'center', flexWrap: 'wrap' } }, h(Link, { to: `/dags/${ROLLBACK_DAG}` }, 'Open the rollback DAG'),
        h('button', { type: 'button', className: 'smh-button', title: conf, onClick: () => navigator.clipboard?.writeText(conf).then(() => setCopied(true), () => {}) }, copied ? 'Copied' : 'Copy its parameters')));
}

function Live({ task }) {
  const { value } = usePolled(async () => ({ timeline: list(await xcom(task, 'timeline').catch(() => null)) }), 5000, [task.id]);
  return h('section', null, h('h2', null, h('span', { className: 'smh-pulse' }, '● '), 'Deploying now'),
    h('p', { style: { margin: '0 0 .6rem' } }, h(Mono, null, text(task.rendered_fields?.endpoint_config_name) || task.operator), ' by ', runLink(task), task.start_date && h('span', { className: 'smh-muted' }, ', started ', when(task.start_date))),
    value?.timeline.length ? h(Timeline, { entries: value.timeline.slice(-4), running: true, rollout: task.rendered_fields?.rollout }) : h('p', { className: 'smh-muted' }, 'It has not changed the endpoint yet.'));
}

const Bones = ({ rows = 6 }) => h('div', { 'aria-busy': true, role: 'status' }, h('span', { className: 'smh-visually-hidden' }, 'Loading'),
  Array.from({ length: rows }, (_, i) => h('div', { key: i, style: { display: 'grid', gridTemplateColumns: '1.2fr 1fr 1.4fr .6fr', gap: '2rem', padding: '1.1rem 1rem' } }, [70, 55, 85, 45].map((width) => h('div', { key: width, className: 'smh-bone', style: { width: `${width}%` } })))));

/** Return the assets' pages; the first one is shown while the others are on their way. */
async function allAssets(onFirst) {
  const first = await assetPage(0);
  const total = first?.total_entries ?? 0;
  if (total > PAGE) onFirst(first.assets, total);
  const offsets = Array.from({ length: Math.min(MOST_PAGES, Math.ceil(total / PAGE)) - 1 }, (_, i) => (i + 1) * PAGE);
  const pages = await each(offsets.length > 0 ? offsets : [], assetPage);
  return { assets: [first, ...pages].flatMap((one) => one?.assets ?? []), total };
}

function Item({ row, isOpen, toggle }) {
  const { endpoint, asset, newest, tasks } = row;
  const running = tasks.filter(isRunning), failed = tasks.find((t) => !isRunning(t));
  const record = newest?.extra ?? {};
  const lastFailed = failed && (failed.end_date ?? '') > (asset?.last_asset_event?.timestamp ?? '');
  const status = running.length ? h(Badge, { label: 'Deploying', tone: 'blue-solid', busy: true })
    : lastFailed ? h(Badge, { label: 'Last deployment failed', tone: 'red-solid' })
      : record.status ? h(Badge, { label: text(record.status), tone: STATUSES[record.status] ?? 'border' })
        : newest === undefined && asset ? h('span', { className: 'smh-bone', style: { width: '5rem' } }) : h(Badge, { label: newest === HIDDEN ? 'Hidden from you' : 'Not recorded', tone: 'border' });
  const variants = list(record.variants);
  const at = lastFailed ? failed.end_date : asset?.last_asset_event?.timestamp;
  const id = `smh-${asset?.id ?? endpoint.name}`;
  return h('div', { className: 'smh-item', 'data-endpoint': endpoint.name },
    h('button', { type: 'button', className: 'smh-row', 'aria-expanded': isOpen, 'aria-controls': isOpen ? id : undefined, onClick: toggle },
      h('span', null, h('span', { className: 'smh-name', title: endpoint.name }, endpoint.name), h('span', { className: 'smh-muted' }, endpoint.region || 'Region of the connection')),
      h('span', null, status, h('span', { className: `smh-mono smh-muted${running.length ? ' smh-change' : ''}`, title: text(record.endpoint_config_name) }, [record.kind === 'inference component' ? `component ${text(record.name)}` : text(record.endpoint_config_name), text(running[0]?.rendered_fields?.endpoint_config_name)].filter(Boolean).join(' → '))),
      h('span', null, variants.length > 0 && h(Traffic, { variants, legend: true })),
      h('span', null, h('span', null, at ? when(at) : ''), h('span', { className: 'smh-muted' }, newest?.source_dag_id ?? running[0]?.dag_id ?? failed?.dag_id ?? '')),
      h('span', { className: 'smh-chevron', 'aria-hidden': true }, '›')),
    isOpen && h('div', { className: 'smh-open', id }, h(History, { asset, endpoint, tasks })));
}

function Endpoints() {
  const [early, setEarly] = useState(null);
  const [newest, setNewest] = useState({});
  const [filter, setFilter] = useState('');
  const [only, setOnly] = useState('all');
  const [order, setOrder] = useState('changed');
  const [shown, setShown] = useState(SHOWN);
  const [opened, setOpened] = useState(null);
  const asked = useRef(new Set());
  const { value, error, again } = usePolled(async () => {
    const refused = (problem) => { if (problem.status === 403) return null; throw problem; };
    const [found, tasks] = await Promise.all([allAssets((assets, total) => setEarly({ assets, total, tasks: [] })), openTasks().catch(refused)]);
    return { ...found, tasks: tasks ?? [], isPartial: tasks === null };
  }, REFRESH, []);
  const seen = value ?? early;
  const rows = useMemo(() => {
    if (!seen) return [];
    const known = seen.assets.map((asset) => ({ asset, endpoint: place(asset.uri) })).filter((one) => one.endpoint);
    const byName = new Map();
    for (const row of known) { row.tasks = []; const name = row.endpoint.name.toLowerCase(); byName.set(name, [...(byName.get(name) ?? []), row]); }
    const others = new Map();
    for (const task of seen.tasks) {
      const at = endpointOf(task);
      if (!at) continue;
      const own = (byName.get(at.name.toLowerCase()) ?? []).filter((row) => belongs(task, row.endpoint));
      if (own.length) own.forEach((row) => row.tasks.push(task));
      else { const key = `${at.region} ${at.name}`; others.set(key, [...(others.get(key) ?? []), task]); }
    }
    const first = [...others.values()].map((tasks) => ({ endpoint: { ...endpointOf(tasks[0]), region: endpointOf(tasks[0]).region.replace(/^None$/, '') }, tasks }));
    return [...known, ...first].map((row) => ({ ...row, key: row.asset?.uri ?? `${row.endpoint.region}/${row.endpoint.name}`,
      changed: [row.asset?.last_asset_event?.timestamp, row.tasks[0]?.end_date ?? row.tasks[0]?.start_date].filter(Boolean).sort().at(-1) ?? '' }));
  }, [seen]);
  const wanted = filter.trim().toLowerCase();
  const matching = useMemo(() => rows
    .filter((row) => !wanted || `${row.endpoint.name} ${row.endpoint.region} ${text(newest[row.asset?.last_asset_event?.id]?.extra?.endpoint_config_name)}`.toLowerCase().includes(wanted))
    .filter((row) => only === 'all' || (only === 'running' ? row.tasks.some(isRunning) : row.tasks.some((t) => !isRunning(t))))
    .sort((a, b) => (order === 'name' ? a.endpoint.name.localeCompare(b.endpoint.name) : Number(b.tasks.some(isRunning)) - Number(a.tasks.some(isRunning)) || b.changed.localeCompare(a.changed))), [rows, wanted, only, order, newest]);
  const visible = matching.slice(0, shown);
  const isWhole = value !== undefined; // which rows are visible is known once all endpoints are
  const lacking = (isWhole ? visible : []).map((row) => row.asset).filter((asset) => asset?.last_asset_event?.id && !asked.current.has(asset.last_asset_event.id));
  useEffect(() => {
    lacking.forEach((asset) => asked.current.add(asset.last_asset_event.id));
    each(lacking, async (asset) => {
      const found = await eventsOf(asset.id, 1).catch(() => null);
      setNewest((before) => ({ ...before, [asset.last_asset_event.id]: found?.asset_events?.[0] ?? (found ? HIDDEN : null) }));
    });
  }, [lacking.map((asset) => asset.last_asset_event.id).join()]);
  const running = rows.filter((row) => row.tasks.some(isRunning)).length, failing = rows.filter((row) => row.tasks.some((t) => !isRunning(t))).length;
  const isRefused = error?.status === 401 || error?.status === 403;
  const head = h('div', { className: 'smh-head' },
    h('h1', null, 'SageMaker endpoints', seen && !isRefused && h('small', null, `${rows.length.toLocaleString()}${seen.total > MOST_PAGES * PAGE ? ` of ${seen.total.toLocaleString()}` : ''}${running ? ` · ${running} deploying` : ''}`)),
    rows.length > 0 && !isRefused && h(Fragment, null,
      h('input', { type: 'search', 'aria-label': 'Filter endpoints', placeholder: 'Filter by name, Region, config', value: filter, onChange: (e) => { setFilter(e.target.value); setShown(SHOWN); } }),
      h('select', { 'aria-label': 'Show', value: only, onChange: (e) => setOnly(e.target.value) }, [['all', 'All'], ['running', `Deploying (${running})`], ['failed', `With failures (${failing})`]].map(([key, label]) => h('option', { key, value: key }, label))),
      h('select', { 'aria-label': 'Sort', value: order, onChange: (e) => setOrder(e.target.value) }, [['changed', 'Last change'], ['name', 'Name']].map(([key, label]) => h('option', { key, value: key }, label)))));
  if (error && (!seen || isRefused)) return h(Frame, null, head, h(Problem, { error, again }));
  if (!seen) return h(Frame, null, head, h('div', { className: 'smh-list' }, h(Bones)));
  return h(Frame, null, head,
    error && h('div', { className: 'smh-note', role: 'status' }, 'Airflow does not answer; this is what it said last. Trying again.'),
    value?.isPartial && h('div', { className: 'smh-note', role: 'status' }, 'You may not see task instances: deployments that run or failed are not shown.'),
    rows.length === 0 ? h(State, { title: 'No endpoint yet', action: h('a', { href: DOCS, target: '_blank', rel: 'noreferrer' }, 'How this page gets its data') }, 'An endpoint appears here when a task of this Airflow deploys it, for example DeployEndpointOperator or ModelHostingTaskGroup.')
      : matching.length === 0 ? h(State, { title: 'No endpoint matches', action: h('button', { type: 'button', className: 'smh-button', onClick: () => { setFilter(''); setOnly('all'); } }, 'Show all') }, `${rows.length.toLocaleString()} endpoints are hidden by the filter.`)
        : h('div', { className: 'smh-list' }, visible.map((row) => h(Item, { key: row.key, row: { ...row, newest: newest[row.asset?.last_asset_event?.id] }, isOpen: opened === row.key, toggle: () => setOpened(opened === row.key ? null : row.key) }))),
    matching.length > shown && h('div', { className: 'smh-more' }, h('span', { className: 'smh-muted' }, `${shown} of ${matching.length.toLocaleString()}`), h('button', { type: 'button', className: 'smh-button', onClick: () => setShown((n) => n + SHOWN) }, `Show ${SHOWN} more`)));
}

// The tab.

const FACTS = ['action', 'reason', 'serving', 'target', 'rollout_seconds', 'alarms', 'fallbacks'];

function Plan({ plan }) {
  if (typeof plan === 'string') return h('pre', { className: 'smh-mono', style: { whiteSpace: 'pre-wrap', margin: 0 } }, plan);
  const rows = (Array.isArray(plan.table) ? plan.table : []).filter((one) => one && typeof one === 'object');
  const facts = FACTS.map((name) => [name, plan[name]]).filter(([name, value]) => value !== undefined && value !== null && value !== '' && value !== 0 && (!Array.isArray(value) || value.length));
  const risks = Array.isArray(plan.risks) ? plan.risks : [];
  return h(Fragment, null,
    facts.length > 0 && h('dl', { className: 'smh-facts' }, facts.map(([name, value]) => h(Fragment, { key: name }, h('dt', null, name.replace(/_/g, ' ')), h('dd', null, Array.isArray(value) ? value.map(text).join(', ') : name === 'rollout_seconds' ? `at least ${duration(value)}` : text(value))))),
    risks.length > 0 && h(Fragment, null, h('h3', { style: { fontWeight: 600, margin: '.75rem 0 .25rem' } }, 'Risks'), h('ul', { style: { paddingLeft: '1.4rem', listStyle: 'disc' } }, risks.map((one, i) => h('li', { key: i }, text(one))))),
    rows.length > 0 && h('table', { className: 'smh-table smh-diff', style: { marginTop: '.75rem' } }, h('thead', null, h('tr', null, ['', 'What', 'Now', 'Afterwards'].map((one, i) => h('th', { key: i, scope: 'col' }, one)))),
      h('tbody', null, rows.map((one, i) => h('tr', { key: i }, h('td', null, i > 0 && rows[i - 1].group === one.group ? '' : text(one.group)), h('td', null, text(one.what)), one.stays
        ? h('td', { colSpan: 2 }, `${text(one.before)} stays, although the config differs`)
        : h(Fragment, null, h('td', null, h('del', null, text(one.before))), h('td', null, h('ins', null, text(one.after)))))))),
    Array.isArray(plan.calls) && plan.calls.length > 0 && h('ol', { style: { margin: '.75rem 0 0', paddingLeft: '1.4rem', listStyle: 'decimal' } }, plan.calls.map((one, i) => h('li', { key: i }, h(Mono, null, text(one))))));
}

function Deployment({ dagId, runId, taskId, mapIndex }) { // the props that Airflow gives; mapIndex only for mapped tasks
  const { value, error, again } = usePolled(async () => {
    const key = { dag_id: dagId, dag_run_id: runId, task_id: taskId, map_index: mapIndex === undefined ? -1 : Number(mapIndex) };
    const task = await get(ofMapped(key));
    if (!task || ![...OPERATORS, ...PLANNERS].includes(task.operator)) {
      // A subclass has another name, and what it wrote.
      const record = task && (await xcom(key, 'record').catch(() => null));
      if (!record) return { task, finished: true };
    }
    const [timeline, record, plan] = await Promise.all([xcom(key, 'timeline'), xcom(key, 'record'), PLANNERS.includes(task.operator) ? xcom(key, 'details').then((found) => found ?? xcom(key, 'return_value')) : xcom(key, 'plan')]);
    return { task, timeline: list(timeline), record, plan, deploys: true, finished: ENDED.includes(task.state) };
  }, REFRESH_TAB, [dagId, runId, taskId, mapIndex]);
  if (error && (!value || error.status === 401 || error.status === 403)) {
    return h(Frame, null, h(Problem, { error, again, denied: { title: 'You may not see this deployment', needs: 'This tab needs the permission to view this DAG.' } }));
  }
  if (!value) return h(Frame, null, h(Bones, { rows: 3 }));
  const { task, timeline, record, plan } = value;
  if (!value.deploys) return h(Frame, null, h(State, { title: 'This task deploys nothing' }, 'Tasks that deploy to SageMaker show here how far they are.'));
  const running = !ENDED.includes(task.state);
  const outcome = running ? 'running' : record?.outcome;
  const seconds = record && !running ? record.seconds : task.duration;
  return h(Frame, null,
    h('div', { className: 'smh-card' },
      h('div', { style: { display: 'flex', gap: '1rem', flexWrap: 'wrap', alignItems: 'baseline', marginBottom: '.6rem' } },
        h('h1', { style: { fontSize: '1.15rem', fontWeight: 650 } }, text(record?.name ?? task.rendered_fields?.endpoint_name ?? task.rendered_fields?.inference_component_name)), outcome && h(Outcome, { outcome }), number(seconds) !== null && h('span', { className: 'smh-muted' }, duration(seconds))),
      h('dl', { className: 'smh-facts' },
        [['To', record?.requested_endpoint_config_name ?? task.rendered_fields?.endpoint_config_name], ['From', record?.previous_endpoint_config_name], ['Serves', record?.status === 'Failed' ? 'nothing' : record?.endpoint_config_name], ['Rollback to', record?.rollback_to]]
          .filter(([, found]) => found).map(([name, found]) => h(Fragment, { key: name }, h('dt', null, name), h('dd', null, h(Mono, null, text(found)))))),
      !running && h(Failure, null, record?.failure)),
    timeline.length > 0 && h('div', { className: 'smh-card' }, h('h2', null, 'Timeline'), h(Timeline, { entries: timeline, running, rollout: task.rendered_fields?.rollout })),
    !running && list(record?.variants).length > 0 && h('div', { className: 'smh-card' }, h('h2', null, 'Serves'), h('div', { style: { maxWidth: '28rem', marginBottom: '.75rem' } }, h(Traffic, { variants: list(record.variants) })), h(Variants, { variants: list(record.variants) })),
    plan && h('div', { className: 'smh-card' }, h('h2', null, 'Plan'), h(Plan, { plan })),
    running && timeline.length === 0 && h('p', { className: 'smh-muted' }, 'The task has not changed the endpoint yet.'));
}

Object.assign(globalThis, { Endpoints, Deployment }); // by the names of the react_apps: so one file serves both, on all versions
