// Drives one MCP client through a plan and prints what came of it.
//
//   node driver.mjs v1|v2 URL < plan.json
//
// v1 is @modelcontextprotocol/sdk, which speaks the legacy protocol; v2 is
// @modelcontextprotocol/client, which negotiates. The plan is a list of steps,
// each {do: NAME, ...}; the output is {version, steps: [{result} | {error}],
// asked: [...], notified: [...]}. The client answers what servers ask:
// elicitations are accepted with the content of the plan's {do: "answer"},
// sampling gets a fixed text, roots one folder.
const [, , kind, url] = process.argv;
const plan = JSON.parse(await new Response(process.stdin).text());

const asked = [];
const notified = [];
let waiting = [];
let content = {};
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } };
const info = { name: `gatehouse-e2e-${kind}`, version: '1' };

const handlers = {
  'elicitation/create': p => ({ action: 'accept', ...(p.mode === 'url' ? {} : { content }) }),
  'sampling/createMessage': p => ({
    role: 'assistant', model: 'fixed', stopReason: 'endTurn',
    content: { type: 'text', text: 'sampled by the client' },
  }),
  'roots/list': () => ({ roots: [{ uri: 'file:///srv/e2e', name: 'e2e' }] }),
};
const watched = ['notifications/message', 'notifications/resources/updated',
  'notifications/tools/list_changed', 'notifications/resources/list_changed', 'notifications/prompts/list_changed'];

function ask(method) {
  return request => {
    asked.push({ method, params: request.params ?? {} });
    return handlers[method](request.params ?? {});
  };
}

function notice(notification) {
  notified.push(notification);
  const ready = waiting.filter(w => w.matches(notification));
  waiting = waiting.filter(w => !ready.includes(w));
  ready.forEach(w => w.resolve(notification));
}

async function v1() {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const types = await import('@modelcontextprotocol/sdk/types.js');
  const client = new Client(info, { capabilities });
  client.setRequestHandler(types.ElicitRequestSchema, ask('elicitation/create'));
  client.setRequestHandler(types.CreateMessageRequestSchema, ask('sampling/createMessage'));
  client.setRequestHandler(types.ListRootsRequestSchema, ask('roots/list'));
  client.fallbackNotificationHandler = async n => notice(n);
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return {
    client,
    version: transport.protocolVersion,
    call: (p, o) => client.callTool(p, undefined, o),
    close: async () => { await transport.terminateSession(); await client.close(); },
  };
}

async function v2() {
  const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client');
  const client = new Client(info, { capabilities, versionNegotiation: { mode: 'auto' } });
  for (const method of Object.keys(handlers)) client.setRequestHandler(method, ask(method));
  for (const method of watched) client.setNotificationHandler(method, notice);
  await client.connect(new StreamableHTTPClientTransport(new URL(url)));
  return {
    client,
    version: client.getNegotiatedProtocolVersion?.(),
    call: (p, o) => client.callTool(p, o),
    close: () => client.close(),
  };
}

async function pages(list, key) {
  const all = [];
  let cursor;
  do {
    const page = await list(cursor ? { cursor } : {});
    all.push(...page[key]);
    cursor = page.nextCursor;
  } while (cursor);
  return all;
}

const { client, version, call, close } = await (kind === 'v1' ? v1() : v2());
const modern = version >= '2026-07-28';

const steps = {
  server: async () => ({ info: client.getServerVersion(), capabilities: client.getServerCapabilities(), instructions: client.getInstructions() }),
  tools: () => pages(p => client.listTools(p), 'tools'),
  resources: () => pages(p => client.listResources(p), 'resources'),
  templates: () => pages(p => client.listResourceTemplates(p), 'resourceTemplates'),
  prompts: () => pages(p => client.listPrompts(p), 'prompts'),
  read: s => client.readResource({ uri: s.uri }),
  prompt: s => client.getPrompt({ name: s.name, arguments: s.arguments }),
  complete: s => client.complete({ ref: s.ref, argument: s.argument }),
  answer: async s => { content = s.content; return {}; },
  call: async s => {
    const progress = [];
    const abort = new AbortController();
    const options = { timeout: 60_000, signal: abort.signal };
    if (s.progress || s.cancel) {
      options.onprogress = p => {
        progress.push(p);
        if (s.cancel) abort.abort('enough');
      };
    }
    const result = await call({ name: s.name, arguments: s.arguments ?? {} }, options);
    return { ...result, progress };
  },
  // Subscribes to a resource in the way of the client's era.
  subscribe: async s => {
    if (!modern) return client.subscribeResource({ uri: s.uri });
    await client.listen({ resourceSubscriptions: [s.uri] });
    return {};
  },
  // Waits for a notification that came or comes after the last one awaited.
  await: s => new Promise((resolve, reject) => {
    const matches = n => n.method === s.method && (!s.uri || n.params?.uri === s.uri);
    const seen = notified.find(matches);
    if (seen) return resolve(seen);
    const timer = setTimeout(() => reject(new Error(`no ${s.method} within 20 s`)), 20_000);
    waiting.push({ matches, resolve: n => { clearTimeout(timer); resolve(n); } });
  }),
};

const results = [];
for (const step of plan) {
  try {
    results.push({ result: await steps[step.do](step) });
  } catch (e) {
    results.push({ error: { message: String(e?.message ?? e), code: e?.code ?? null } });
  }
}
await close().catch(() => {});
process.stdout.write(JSON.stringify({ version, steps: results, asked, notified }) + '\n', () => process.exit(0));
