/** What the annex does: pages for people, and filling from other registries. */
import { HonoBase } from 'hono/hono-base';
import { tagKey } from '../registry/keys.ts';
import type { FillProps, PageProps } from './annex-port.ts';
import { type Config, type Env, readConfig } from './config.ts';
import type { Edge } from './edge.ts';
import { browse } from './endpoints/browse.tsx';
import { failure, fallback } from './endpoints/fallback.ts';
import { help, helpIndex } from './endpoints/help.tsx';
import { home } from './endpoints/home.tsx';
import { FirstMatchRouter } from './first-match-router.ts';
import type { AnswerFronted } from './ingest/fronted.ts';
import { answerThrough } from './ingest/pull-through.ts';
import { signerOf } from './ingest/signer.ts';
import { upstreamOf } from './ingest/upstream.ts';
import { originOf } from './ingest/origins.ts';
import type { Question } from './gateway/question.ts';
import { answerFor, askedOf, canonicalQuestionOf } from './gateway/registry.ts';
import { directPort } from './gateway/registry-port.ts';
import { INNER_HEADERS, type PageFacts, respond } from './gateway/respond.ts';
import { beginTrace } from './log/trace.ts';

type WaitUntil = (work: Promise<unknown>) => void;

let last: { readonly bucket: R2Bucket; readonly settings: string; readonly config: Config } | null = null;

/** The configuration that the first Worker's settings make, read once for as long as they stay the same: what is known of upstreams hangs on it. */
export function annexConfigOf(bucket: R2Bucket, settings: string): Config {
  if (last?.bucket !== bucket || last.settings !== settings) {
    last = {
      bucket,
      settings,
      config: readConfig({ ...(JSON.parse(settings) as Omit<Env, 'BUCKET'>), BUCKET: bucket }),
    };
  }
  return last.config;
}

/** Answers a question of the first Worker, from storage or from the upstream, in the form that answers have between registry and gateway. */
export async function fill(
  request: Request,
  config: Config,
  { props, cached }: FillProps,
  waitUntil: WaitUntil,
): Promise<Response> {
  const { bucket, persistence, realms, origins, signingKey } = config;
  const answerFronted: AnswerFronted = (question, asked, sources) =>
    answerThrough(question, asked, {
      ...sources,
      realm: props.realm,
      bucket,
      persistence,
      signer: signerOf(signingKey),
      waitUntil,
    });
  const question = canonicalQuestionOf(request);
  const { answer, facts } = await answerFor(question, askedOf(request), {
    bucket,
    persistence,
    props,
    realms,
    cached,
    origins,
    answerFronted,
  });
  if (answer instanceof Response) throw new Error('the annex asked itself');
  const checked = checkedOf(config, question);
  return respond(answer, question, checked === undefined ? facts : { ...facts, checked });
}

/** When this isolate last compared a tag with the upstream's. */
function checkedOf({ origins }: Config, question: Question): number | undefined {
  if (question.kind !== 'manifest' || question.reference.kind !== 'tag') return undefined;
  const rule = originOf(origins, question.name);
  return rule === null
    ? undefined
    : upstreamOf(rule).checked.get(tagKey(question.name, question.reference.tag), Date.now());
}

const pages = new HonoBase<{ Bindings: Edge }>({ router: new FirstMatchRouter() })
  .get('/help', helpIndex)
  .get('/help/:reason', help)
  .get('/r/:path{.+}', browse)
  .get('/', home)
  .notFound(fallback)
  .onError(failure);

/** Answers a client's request for a page: who may see what is decided here, by the same rules. What is for the log of the first Worker stands in a header. */
export async function page(
  request: Request,
  config: Config,
  { id, limit }: PageProps,
  ctx: ExecutionContext,
): Promise<Response> {
  const trace = { ...beginTrace(), id };
  const limiter = limit === null ? null : { limit };
  const registry = directPort(config, ctx);
  const response = await pages.fetch(request, { config: { ...config, limiter }, registry, trace }, ctx);
  const { heads, gets, storageTime, reason } = trace;
  const answer = new Response(response.body, response);
  answer.headers.set(
    INNER_HEADERS.facts,
    JSON.stringify({ head: heads, get: gets, ms: storageTime, reason } satisfies PageFacts),
  );
  return answer;
}
