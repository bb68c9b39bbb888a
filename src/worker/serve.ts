/** Serves one request, from the configuration to the log line. */
import { app } from './app.ts';
import { refused } from './gateway/answer.ts';
import { isBrowser } from './gateway/browser.ts';
import { type Config, type Env, readConfig } from './config.ts';
import type { RegistryPort } from './edge.ts';
import { addClosingFields, report } from './log/report.ts';
import { API_VERSION, refuse } from './gateway/registry-response.ts';
import { beginTrace, type Trace } from './log/trace.ts';
import { logFailure } from './log/event.ts';

/** Answers a client's request. `read` reads the configuration; `registry` chooses the connection to the registry. */
export async function serve(
  request: Request,
  read: () => Config,
  registry: (config: Config) => RegistryPort | Promise<RegistryPort>,
  ctx: ExecutionContext,
): Promise<Response> {
  const trace = beginTrace();
  // The runtime takes Host into the URL as it is, several of them with commas between.
  if (!URL.canParse(request.url)) return refuseHost(trace);
  let config: Config;
  try {
    config = read();
  } catch (error) {
    // With an invalid configuration nothing is served: a default could expose what is protected.
    logFailure('configuration', { id: trace.id }, error);
    return refuse(refused('internal', { detail: { id: trace.id } }), new URL(request.url).origin, {
      'docker-distribution-api-version': API_VERSION,
    });
  }
  const way = registry(config);
  const answer = await app.fetch(request, { config, registry: way instanceof Promise ? await way : way, trace }, ctx);
  const response = await forPeople(request, answer, config);
  if (trace.bytes === undefined) complete(request, response, trace, config);
  report(request, response.status, trace, config, ctx);
  return response;
}

/**
 * The response, or a page instead of an error body where a browser gets it. Below `/v2/` the body is JSON for all
 * (OCI distribution spec, "Error Codes").
 */
async function forPeople(request: Request, response: Response, config: Config): Promise<Response> {
  if (response.status < 400 || !isBrowser(request.headers.get('accept'))) return response;
  if (/^\/v2(?:\/|$)/.test(new URL(request.url).pathname)) return response;
  return (await import('./pages/refusal.tsx')).pageOfError(request, response, config);
}

/** RFC 9112, section 3.2: a request with an invalid Host, or more than one, gets a 400. */
function refuseHost({ id }: Trace): Response {
  return refuse(refused('host-invalid'), '', {
    'docker-distribution-api-version': API_VERSION,
    'x-request-id': id,
    'x-content-type-options': 'nosniff',
  });
}

const configs = new WeakMap<Env, Config>();

/** The configuration of an environment, read once. Throws the errors of {@link readConfig}. */
export function configOf(env: Env): Config {
  const known = configs.get(env);
  if (known !== undefined) return known;
  const config = readConfig(env);
  configs.set(env, config);
  return config;
}

function complete({ method }: Request, { headers, body }: Response, trace: Trace, config: Config): void {
  trace.bytes = method === 'HEAD' || body === null ? 0 : Number(headers.get('content-length') ?? 0);
  for (const [name, value] of Object.entries(addClosingFields({}, trace, config))) headers.set(name, value);
}
