/** Pulls a tag's manifest as each client family does, and checks the answers. */
import { randomUUID } from 'node:crypto';
import { type Digest, parseDigest } from '../../registry/digest.ts';
import { type Form, FORM_TITLE, formOfMediaType, MEDIA_TYPE_OF_FORM } from '../../registry/media-type.ts';
import { type ClientId, clientOf, CLIENTS, type KnownClient as Client } from '../../manifest/clients/known-clients.ts';
import { formObstacle, nameObstacle } from '../../manifest/clients/obstacles.ts';
import { isNameless } from '../../manifest/from-schema1.ts';
import { isImage, marksOf } from '../../manifest/layer-types.ts';
import { formsAcceptedBy } from '../../manifest/negotiate.ts';
import { ManifestError, readImageManifest, readManifest } from '../../manifest/read.ts';
import type { Answer, Exchange } from './exchange.ts';
import type { Finding, FindingId } from './findings/findings.ts';
import { bareType, type ManifestAnswer, readManifestAnswer } from './manifest-answer.ts';
import { errorsOf, headersOf, type ImageName, type Session } from './session.ts';

/** The result of a client family. `told-no`: a 404 with a reason. */
export interface ClientResult {
  readonly id: ClientId;
  readonly title: string;
  readonly outcome: 'pulls' | 'told-no' | 'fails';
  readonly form?: Form;
  readonly digest?: Digest;
  /** A description for the table. */
  readonly says: string;
  readonly manifest?: ManifestAnswer;
  /** The last relevant answer. */
  readonly answer?: Answer;
}

/** The results of all families, and the faults found. */
export interface ClientsExamined {
  readonly results: readonly ClientResult[];
  readonly findings: readonly Finding[];
}

/**
 * Requests the tag as each family, old ones first, so that a cache that ignores `Vary` returns schema 1 to new ones.
 */
export async function examineClients(session: Session, image: ImageName): Promise<ClientsExamined> {
  const findings: Finding[] = [];
  const results: ClientResult[] = [];
  const tagAnswers: TagAnswer[] = [];
  for (const client of CLIENTS as readonly (Client & { readonly id: ClientId })[]) {
    const add = (id: FindingId, seen: string): void => void findings.push({ id, seen, client: client.title });
    const { result, byTag } = await pullManifest(session, image, client, add);
    if (byTag !== undefined) tagAnswers.push({ client, ...byTag });
    findings.push(...judgeUse(client, image, result));
    results.push(result);
  }
  findings.push(...judgeVariety(tagAnswers));
  findings.push(...(await judgePrinted(session, image, tagAnswers)));
  findings.push(...(await judgeForms(session, image, results)));
  return { results: results.map((result) => afterFindings(result, findings)), findings };
}

/** An answer to GET by tag. */
interface TagAnswer {
  readonly client: Client;
  readonly answer: Answer;
  readonly manifest: ManifestAnswer;
}

type Add = (id: FindingId, seen: string) => void;

interface Pulled {
  readonly result: ClientResult;
  /** The answer to GET by tag, if the client sent one. */
  readonly byTag?: { readonly answer: Answer; readonly manifest: ManifestAnswer };
}

async function pullManifest(
  session: Session,
  image: ImageName,
  client: Client & { readonly id: ClientId },
  add: Add,
): Promise<Pulled> {
  const path = `/v2/${image.name}/manifests/${image.tag}`;
  const identity = { id: client.id, title: client.title };
  if (client.first === 'HEAD') {
    const head = await session.send('HEAD', path, headersOf(client, client.accept, 'HEAD'));
    if (head.kind === 'answer' && head.status === 200) {
      const digest = judgeHead(head, add);
      if (digest !== undefined) {
        const accept = client.acceptAfterHead?.(bareType(head.headers['content-type'])) ?? client.accept;
        const where = `GET manifests/${short(digest)}`;
        const got = await session.send(
          'GET',
          `/v2/${image.name}/manifests/${digest}`,
          headersOf(client, accept, 'GET'),
        );
        if (got.kind === 'answer' && got.status === 200) {
          const manifest = readManifestAnswer(got, where);
          for (const finding of manifest.findings) add(finding.id, finding.seen);
          if (manifest.digest !== null && manifest.digest !== digest)
            add('digest-mismatch', `${where}: the body has ${manifest.digest}`);
          return { result: gotManifest(identity, manifest, got) };
        }
        add('digest-not-pullable', `HEAD manifests/${image.tag} returned ${digest}; ${where}: ${statusOf(got)}`);
        // Docker 20 continues with the tag; the others fail.
        if (client.id !== 'docker-20')
          return { result: { ...identity, outcome: 'fails', says: 'the digest that HEAD returned cannot be pulled' } };
      }
    } else if (head.kind === 'answer' && head.status >= 500) {
      add('server-error', `HEAD manifests/${image.tag}: ${String(head.status)}`);
    }
  }
  const got = await session.send('GET', path, headersOf(client, client.accept, 'GET'));
  if (got.kind === 'failure') {
    add('unreachable', `GET manifests/${image.tag}: ${got.message}`);
    return { result: { ...identity, outcome: 'fails', says: got.message } };
  }
  if (got.status === 200) {
    const manifest = readManifestAnswer(got, `GET manifests/${image.tag}`);
    for (const finding of manifest.findings) add(finding.id, finding.seen);
    return { result: gotManifest(identity, manifest, got), byTag: { answer: got, manifest } };
  }
  return { result: judgeRefusal(identity, client, got, image, add) };
}

function judgeHead(head: Answer, add: Add): Digest | undefined {
  if (head.headers['content-length'] === undefined) add('head-length-missing', 'HEAD by tag: no Content-Length');
  const digest = head.headers['docker-content-digest'];
  if (digest === undefined) add('digest-missing', 'HEAD by tag: no Docker-Content-Digest');
  if (digest === undefined) return undefined;
  // `readManifestAnswer` reports a value that is not a digest.
  return parseDigest(digest) ?? undefined;
}

function gotManifest(
  identity: Pick<ClientResult, 'id' | 'title'>,
  manifest: ManifestAnswer,
  answer: Answer,
): ClientResult {
  const { form, digest } = manifest;
  return {
    ...identity,
    outcome: form === null ? 'fails' : 'pulls',
    says: form === null ? `no manifest: ${answer.headers['content-type'] ?? 'no Content-Type'}` : FORM_TITLE[form],
    ...(form === null ? {} : { form }),
    ...(digest === null ? {} : { digest }),
    manifest,
    answer,
  };
}

function judgeRefusal(
  identity: Pick<ClientResult, 'id' | 'title'>,
  client: Client,
  answer: Answer,
  image: ImageName,
  add: Add,
): ClientResult {
  const where = `GET manifests/${image.tag}: ${String(answer.status)}`;
  const errors = errorsOf(answer.body);
  if (answer.status >= 500) add('server-error', where);
  else if (answer.status !== 404) add('missing-not-404', where);
  if (errors.length === 0) add('error-body', `${where}, ${answer.headers['content-type'] ?? 'no Content-Type'}`);
  const [first] = errors;
  if (answer.status !== 404)
    return { ...identity, outcome: 'fails', says: `${String(answer.status)} ${first?.message ?? ''}`.trim(), answer };
  if (client.old === true && first?.code === 'MANIFEST_UNKNOWN')
    add('message-hidden', `${where}, first code ${first.code}`);
  return { ...identity, outcome: 'told-no', says: `404 ${first?.message ?? ''}`.trim(), answer };
}

/** Checks that answers of one URL that differ have `Vary`. Pure. */
function judgeVariety(answers: readonly TagAnswer[]): Finding[] {
  const digests = new Set(answers.map(({ manifest }) => manifest.digest));
  if (digests.size < 2) return [];
  return answers
    .filter(({ answer }) => !/(?:^|,)\s*(?:accept|\*)\s*(?:,|$)/i.test(answer.headers.vary ?? ''))
    .map(({ client, answer }) => ({
      id: 'vary-missing',
      seen: `GET by tag: Vary: ${answer.headers.vary ?? 'none'}`,
      client: client.title,
    }));
}

/** Checks that each digest that a client prints after a pull by tag can be pulled. */
async function judgePrinted(session: Session, image: ImageName, answers: readonly TagAnswer[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { client, answer: byTag, manifest } of new Map(
    answers.map((one) => [one.manifest.digest, one]),
  ).values()) {
    // A header that differs from the body is reported elsewhere.
    if (manifest.digest === null || (byTag.headers['docker-content-digest'] ?? manifest.digest) !== manifest.digest)
      continue;
    const answer = await session.send(
      'GET',
      `/v2/${image.name}/manifests/${manifest.digest}`,
      headersOf(client, client.accept, 'GET'),
    );
    if (answer.kind === 'answer' && answer.status === 404)
      findings.push({
        id: 'printed-digest',
        seen: `GET manifests/${short(manifest.digest)}: 404`,
        client: client.title,
      });
  }
  return findings;
}

/** Whether a client can request the repository at all, and use the names and layers in the manifest that it got. */
function judgeUse(client: Client, { name }: ImageName, { manifest, form }: ClientResult): Finding[] {
  const negotiated = clientOf(client);
  const refusal = nameObstacle(negotiated, name);
  if (refusal !== null) return [{ id: 'name-refused', seen: `${name}: ${refusal.text}`, client: client.title }];
  if (manifest === undefined || form === undefined) return [];
  const received = { form, ...contentOf(manifest, form), nameless: isNameless(manifest.bytes) };
  const obstacle = formObstacle(negotiated, received);
  switch (obstacle?.kind) {
    case 'layers':
      return [{ id: 'layers-refused', seen: `${FORM_TITLE[form]}: ${obstacle.text}`, client: client.title }];
    case 'nameless-schema1':
      return [{ id: 'schema1-nameless', seen: obstacle.text, client: client.title }];
    default:
      // `judgeForms` reports a form that it does not read.
      return [];
  }
}

/** What matters of a manifest's layers. */
function contentOf(
  { bytes }: ManifestAnswer,
  form: Form,
): ReturnType<typeof marksOf> & { readonly artifact?: boolean } {
  if (form !== 'docker-schema2' && form !== 'oci-manifest') return {};
  try {
    const manifest = readManifest(bytes, MEDIA_TYPE_OF_FORM[form]);
    const image = readImageManifest(manifest);
    return { ...marksOf([{ manifest, image }]), artifact: form === 'oci-manifest' && !isImage(image) };
  } catch (error) {
    // Faults of the manifest are reported elsewhere.
    if (error instanceof ManifestError) return {};
    throw error;
  }
}

/** Checks that each client got a form that it can read. If not, an uncached URL shows whether a cache caused it. */
async function judgeForms(session: Session, image: ImageName, results: readonly ClientResult[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  const newer = results.some(({ form }) => form !== undefined && form !== 'docker-schema1');
  for (const [index, result] of results.entries()) {
    const client: Client | undefined = CLIENTS[index];
    if (client === undefined || result.form === undefined) continue;
    const negotiated = clientOf(client);
    const unreadable = formObstacle(negotiated, { form: result.form }) !== null;
    const tooOld =
      result.form === 'docker-schema1' &&
      newer &&
      formsAcceptedBy(negotiated).length > 1 &&
      !client.accept.every((line) => line === '*/*');
    if (!unreadable && !tooOld) continue;
    const fresh = await session.send(
      'GET',
      `/v2/${image.name}/manifests/${image.tag}?doctor=${randomUUID()}`,
      headersOf(client, client.accept, 'GET'),
    );
    const other =
      fresh.kind === 'answer'
        ? fresh.status === 200
          ? formOfMediaType(bareType(fresh.headers['content-type']))
          : null
        : result.form;
    const id = other !== result.form ? 'vary-ignored' : unreadable ? 'wrong-form' : 'schema1-to-new';
    const cached = ['age', 'cf-cache-status', 'x-cache'].flatMap((name) => {
      const value = result.answer?.headers[name];
      return value === undefined ? [] : [`${name}: ${value}`];
    });
    const past =
      id === 'vary-ignored' ? `; past the cache: ${other === null ? statusOf(fresh) : FORM_TITLE[other]}` : '';
    findings.push({
      id,
      seen: `${FORM_TITLE[result.form]}${cached.length === 0 ? '' : ` (${cached.join(', ')})`}${past}`,
      client: client.title,
    });
  }
  return findings;
}

// A client fails if it cannot use the answer: because of its form, its digest, or a required header.
const FATAL = new Set<FindingId>([
  'wrong-form',
  'vary-ignored',
  'digest-mismatch',
  'body-cut',
  'name-refused',
  'layers-refused',
  'schema1-nameless',
]);
const HEAD_FIRST: readonly ClientId[] = [
  'docker-20',
  'docker-23',
  'docker-28',
  'containerd-1.4',
  'containerd-1.6',
  'containerd-2',
];
const FATAL_OF: Partial<Record<FindingId, readonly ClientId[]>> = {
  'head-length-missing': HEAD_FIRST,
  'digest-missing': ['docker-1.6', 'docker-1.7'],
  'digest-wrong': ['docker-1.6', 'docker-1.7', ...HEAD_FIRST],
  'schema1-signature': ['docker-1.6', 'docker-1.7'],
  'content-type-wrong': [
    ...['docker-1.10', 'docker-18', 'docker-19.03.0', 'docker-19'],
    ...HEAD_FIRST,
    ...['podman-5.6', 'podman', 'crane', 'oras', 'systemd'],
  ] as readonly ClientId[],
};

function afterFindings(result: ClientResult, findings: readonly Finding[]): ClientResult {
  const fatal = findings.find(
    ({ id, client }) => client === result.title && (FATAL.has(id) || FATAL_OF[id]?.includes(result.id) === true),
  );
  if (fatal === undefined) return result;
  // An engine that refuses the name sends no request, so it gets no reason either.
  if (fatal.id === 'name-refused') return { ...result, outcome: 'fails', says: 'refuses the name of the repository' };
  return result.outcome === 'pulls' ? { ...result, outcome: 'fails' } : result;
}

/** The status or the error of an exchange. */
export function statusOf(exchange: Exchange): string {
  return exchange.kind === 'failure' ? exchange.message : String(exchange.status);
}

/** A shortened digest. */
export function short(digest: string): string {
  return digest.replace(/^(sha\d+:[0-9a-f]{12})[0-9a-f]*$/, '$1');
}
