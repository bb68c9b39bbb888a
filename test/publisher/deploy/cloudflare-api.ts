/**
 * A stand-in for Cloudflare's API on loopback, over a {@link CloudflareAccount}: the part of it that Wrangler uses to
 * deploy a Worker. Wrangler talks to it where `CLOUDFLARE_API_BASE_URL` has its address. A request that it does not
 * know is kept in `unknown`, so that a test notices what a new Wrangler sends.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import {
  CloudflareAccount,
  RefusedError,
  type UploadMetadata,
  type Version,
  type Worker,
} from './cloudflare-account.ts';

/** The running stand-in. */
export interface CloudflareApi {
  readonly account: CloudflareAccount;
  /** Variables with which Wrangler uses it. */
  readonly env: NodeJS.ProcessEnv;
  /** Method and path of each request, without the account's part. */
  readonly requests: string[];
  readonly unknown: string[];
  /** Refuses a request that would be answered otherwise. */
  refuse: (request: string) => RefusedError | undefined;
  close(): Promise<void>;
}

const TOKEN = 'a-token-that-may-deploy';

interface Call {
  readonly account: CloudflareAccount;
  /** The groups of the endpoint's pattern. */
  readonly names: readonly string[];
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly body: Buffer;
}

type Endpoint = (call: Call) => unknown;

const json = ({ body }: Call): Readonly<Record<string, unknown>> =>
  JSON.parse(body.toString()) as Readonly<Record<string, unknown>>;
const nameIn = ({ names }: Call): string => names[0] ?? '';

/** The endpoints, in the order of the API reference. `:` stands for a name, `A` for the account. */
const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  'GET /user': () => ({ id: 'a-user', email: 'someone@example.com' }),
  'GET /user/tokens/verify': () => ({ id: 'a-token', status: 'active' }),
  'GET /accounts': ({ account: { id, name } }) => [{ id, name, type: 'standard' }],
  'GET /memberships': ({ account: { id, name } }) => [{ id: 'm', roles: ['Administrator'], account: { id, name } }],
  'GET /zones': ({ account, query }) => {
    const name = query.get('name') ?? '';
    const id = account.zones.get(name);
    return id === undefined ? [] : [{ id, name }];
  },
  'GET /zones/:/workers/routes': ({ account }) =>
    [...account.workers.values()].flatMap(({ name, routes }) => routes.map((route) => ({ ...route, script: name }))),
  'GET A/r2/buckets/:': (call) => call.account.bucket(nameIn(call), jurisdictionOf(call.request)),
  'GET A/r2/buckets/:/objects/:': (call) => {
    call.account.bucket(nameIn(call), jurisdictionOf(call.request));
    return call.account.object(call.names.join('/'));
  },
  'POST A/r2/buckets': (call) => {
    const { name } = json(call);
    call.account.createBucket(String(name), jurisdictionOf(call.request));
    return { name };
  },
  'GET A/workers/services/:': (call) => {
    const { name, tag } = call.account.worker(nameIn(call));
    return {
      id: name,
      default_environment: { environment: 'production', script: { tag, last_deployed_from: 'wrangler' } },
    };
  },
  'GET A/workers/workers/:': (call) => {
    const { name, tag, subdomain } = call.account.worker(nameIn(call));
    return { id: tag, name, subdomain };
  },
  'GET A/workers/subdomain': () => ({ subdomain: 'example' }),
  'PUT A/workers/scripts/:': async (call) => {
    const { id } = call.account.upload(nameIn(call), ...(await uploadIn(call)));
    return { id: nameIn(call), etag: 'an-etag', startup_time_ms: 5, deployment_id: id.replaceAll('-', '') };
  },
  'GET A/workers/scripts/:/settings': (call) => {
    const { metadata, bindings } = call.account.deployed(nameIn(call));
    return { bindings, compatibility_date: metadata.compatibility_date };
  },
  'PATCH A/workers/scripts/:/script-settings': (call) => {
    const worker = call.account.worker(nameIn(call));
    worker.settings = json(call);
    return worker.settings;
  },
  'GET A/workers/scripts/:/secrets': (call) => call.account.secrets(nameIn(call)),
  'PUT A/workers/scripts/:/secrets': (call) => {
    const { name, text } = json(call);
    call.account.putSecret(nameIn(call), { name: String(name), text, type: 'secret_text' });
    return { name, type: 'secret_text' };
  },
  'POST A/workers/scripts/:/versions': async (call) => {
    // The API reference: a version can be uploaded only to a Worker that exists.
    call.account.worker(nameIn(call));
    const { id } = call.account.upload(nameIn(call), ...(await uploadIn(call)));
    return { id, startup_time_ms: 5, resources: { script: { etag: 'an-etag' } } };
  },
  'GET A/workers/scripts/:/deployments': (call) => ({
    deployments: [...call.account.worker(nameIn(call)).deployments].reverse(),
  }),
  'POST A/workers/scripts/:/deployments': (call) => {
    const versions = json(call).versions as readonly unknown[];
    const deployment = { id: crypto.randomUUID(), versions };
    call.account.worker(nameIn(call)).deployments.push(deployment);
    return deployment;
  },
  'POST A/workers/scripts/:/subdomain': (call) => {
    const { enabled, previews_enabled } = json(call);
    const worker = call.account.worker(nameIn(call));
    worker.subdomain = { enabled: enabled === true, previews_enabled: previews_enabled === true };
    return worker.subdomain;
  },
  'PUT A/workers/scripts/:/routes': (call) => {
    const routes = JSON.parse(call.body.toString()) as Worker['routes'];
    call.account.worker(nameIn(call)).routes = routes;
    return routes;
  },
  'POST A/workers/scripts/:/domains/changeset': (call) =>
    call.account.domainChanges(nameIn(call), hostsOf(JSON.parse(call.body.toString()))),
  'PUT A/workers/scripts/:/domains/records': (call) => {
    const { origins, override_existing_origin, override_existing_dns_record } = json(call);
    call.account.attach(nameIn(call), hostsOf(origins), {
      overrideOrigin: override_existing_origin === true,
      overrideDns: override_existing_dns_record === true,
    });
    return null;
  },
};

/** Starts it, with an empty account. */
export async function startCloudflareApi(): Promise<CloudflareApi> {
  const account = new CloudflareAccount();
  const requests: string[] = [];
  const unknown: string[] = [];
  const server = createServer((request, response) => {
    const answer = async (): Promise<unknown> => {
      const url = new URL(request.url ?? '/', 'http://api');
      const path = url.pathname.replace(/^\/client\/v4/, '').replace(`/accounts/${account.id}`, 'A');
      const line = `${request.method ?? ''} ${path}`;
      requests.push(line);
      const body = await buffer(request);
      // Wrangler reads the size of a bucket there; GraphQL has an envelope of its own.
      if (line === 'POST /graphql') return { data: { viewer: { accounts: [{ r2StorageAdaptiveGroups: [] }] } } };
      const refused = api.refuse(line);
      if (refused !== undefined) throw refused;
      if (request.headers.authorization !== `Bearer ${TOKEN}`) {
        // Each endpoint says 10000, but this one 1000 (API reference, "Verify Token").
        if (path === '/user/tokens/verify') throw new RefusedError(401, 1000, 'Invalid API Token');
        throw new RefusedError(403, 10_000, 'Authentication error');
      }
      for (const [pattern, endpoint] of Object.entries(ENDPOINTS)) {
        const names = new RegExp(`^${pattern.replaceAll(':', '([^/]+)')}$`).exec(line)?.slice(1);
        if (names !== undefined) return endpoint({ account, names, query: url.searchParams, request, body });
      }
      unknown.push(line);
      throw new RefusedError(404, 7003, `Could not route to ${path}`);
    };
    const send = (status: number, whole: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(whole));
    };
    answer().then(
      (result) => {
        // An object comes as it is.
        if (result instanceof Buffer) {
          response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(result);
          return;
        }
        const result_info = Array.isArray(result)
          ? { page: 1, per_page: 50, count: result.length, total_count: result.length, total_pages: 1 }
          : undefined;
        const envelope = { success: true, errors: [], messages: [], result, result_info };
        send(200, request.url?.endsWith('/graphql') === true ? (Object(result) as object) : envelope);
      },
      (error: unknown) => {
        const { status, code, message } =
          error instanceof RefusedError ? error : new RefusedError(500, 10_013, String(error));
        send(status, { success: false, errors: [{ code, message }], messages: [], result: null });
      },
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const api: CloudflareApi = {
    account,
    env: {
      CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/client/v4`,
      CLOUDFLARE_API_TOKEN: TOKEN,
    },
    requests,
    unknown,
    refuse: () => undefined,
    close: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return api;
}

/**
 * An upload is `multipart/form-data`: `metadata` in JSON, and a part for each module (API reference, "Upload Worker
 * Module").
 */
async function uploadIn({ request, body }: Call): Promise<[UploadMetadata, Version['modules']]> {
  const form = await new Response(new Uint8Array(body), {
    headers: { 'content-type': request.headers['content-type'] ?? '' },
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- deprecated for bodies that may be large or hostile
  }).formData();
  const metadata = form.get('metadata');
  if (typeof metadata !== 'string') throw new RefusedError(400, 10_006, 'Failed to parse Worker upload.');
  const modules = new Map<string, { type: string; bytes: Buffer }>();
  for (const [name, part] of form) {
    if (typeof part === 'string') continue;
    modules.set(name, { type: part.type, bytes: Buffer.from(await part.arrayBuffer()) });
  }
  return [JSON.parse(metadata) as UploadMetadata, modules];
}

function hostsOf(origins: unknown): readonly string[] {
  return (origins as readonly { readonly hostname: string }[]).map(({ hostname }) => hostname);
}

function jurisdictionOf({ headers }: IncomingMessage): string | undefined {
  const jurisdiction = headers['cf-r2-jurisdiction'];
  return typeof jurisdiction === 'string' ? jurisdiction : undefined;
}
