/** Examines a registry, from the TLS handshake to the headers of its answers. */
import { parseRepositoryName, parseTag } from '../../registry/name.ts';
import { isListForm } from '../../registry/media-type.ts';
import { listOf, objectOf, parseJson } from '../../registry/values/json.ts';
import { formOfContent, readLinks } from '../../manifest/links.ts';
import { CLIENTS, type KnownClient as Client } from '../../manifest/clients/known-clients.ts';
import { blobsToRequest, examineBlobs } from './examine-blobs.ts';
import { type ClientResult, examineClients } from './examine-clients.ts';
import { examineLists, examineManifests, examineMisses, tagsOf } from './examine-manifests.ts';
import type { Finding } from './findings/findings.ts';
import { headersOf, type ImageName, openSession, type Session, type SessionOptions } from './session.ts';
import { examineTls, type TlsExamined } from './tls.ts';

/** How to examine. `image` is a name with or without a tag; the default is the first in the catalogue. */
export interface ExamineOptions extends SessionOptions {
  readonly image?: string;
  readonly now: number;
  readonly onProgress?: (what: string) => void;
}

/** The result of an examination. */
export interface Diagnosis {
  readonly url: string;
  readonly image: string | null;
  readonly tls: Omit<TlsExamined, 'findings'> | null;
  readonly clients: readonly Pick<ClientResult, 'id' | 'title' | 'outcome' | 'form' | 'digest' | 'says'>[];
  readonly findings: readonly Finding[];
}

/** Examines a registry. A fault of the registry is a finding, not an exception. */
export async function examine(base: URL, options: ExamineOptions): Promise<Diagnosis> {
  const step = options.onProgress ?? (() => undefined);
  const findings: Finding[] = [];
  let tls: TlsExamined | null = null;
  const end = (image: ImageName | null, clients: readonly ClientResult[]): Diagnosis => ({
    url: base.href,
    image: image === null ? null : `${image.name}:${image.tag}`,
    tls: tls === null ? null : { modern: tls.modern, old: tls.old, validTo: tls.validTo, certificate: tls.certificate },
    clients: clients.map(({ id, title, outcome, form, digest, says }) => ({
      id,
      title,
      outcome,
      ...(form === undefined ? {} : { form }),
      ...(digest === undefined ? {} : { digest }),
      says,
    })),
    findings,
  });

  if (base.protocol === 'https:') {
    step('opening TLS connections');
    tls = await examineTls(base, options);
    findings.push(...tls.findings);
  }
  step('requesting /v2/');
  const wanted = options.image === undefined ? undefined : splitImage(options.image);
  const scope = wanted?.name === undefined ? 'registry:catalog:*' : `repository:${wanted.name}:pull`;
  const opened = await openSession(base, scope, options);
  // After a TLS fault, an unreachable registry is not reported again.
  const explained = findings.some(
    ({ id }) => id === 'tls-certificate' || id === 'http1-missing' || id === 'unreachable',
  );
  findings.push(...opened.findings.filter(({ id }) => id !== 'unreachable' || !explained));
  if (opened.session === null) return end(null, []);

  step('choosing an image');
  const chosen = await chooseImage(opened.session, wanted);
  if ('finding' in chosen) {
    findings.push(chosen.finding);
    return end(null, []);
  }
  const { image } = chosen;
  const session =
    wanted === undefined && opened.session.authorized
      ? ((await openSession(base, `repository:${image.name}:pull`, options)).session ?? opened.session)
      : opened.session;

  step('pulling as each client');
  const { results, findings: ofClients } = await examineClients(session, image);
  if (results.every(({ outcome }) => outcome === 'told-no')) {
    findings.push({ id: 'image-missing', seen: `no client gets ${image.name}:${image.tag}` });
    return end(image, results);
  }
  findings.push(...ofClients);
  const old = results.find(({ id }) => id === 'docker-1.9');
  if (old?.outcome === 'told-no') findings.push({ id: 'schema1-none', seen: old.says });
  const modern = clientOf('docker-28');
  step('comparing HEAD with GET, sending conditional requests');
  findings.push(...(await examineManifests(session, image, modern, clientOf('docker-1.9'))));
  step('pulling blobs');
  const manifests = await imageManifests(session, image, results);
  findings.push(...(await examineBlobs(session, image, clientOf('docker-1.9'), blobsToRequest(manifests))));
  step('requesting missing objects');
  findings.push(...(await examineMisses(session, image, modern)));
  findings.push(...(await examineLists(session, image, results.find(({ id }) => id === 'docker-28')?.digest)));
  return end(image, results);
}

function clientOf(id: (typeof CLIENTS)[number]['id']): Client {
  const client = CLIENTS.find((one) => one.id === id);
  if (client === undefined) throw new TypeError(`no client ${id}`);
  return client;
}

interface Wanted {
  readonly name: ImageName['name'] | undefined;
  readonly tag: ImageName['tag'] | undefined;
}

/** Parses `NAME[:TAG]`; a part is undefined if it is missing or not valid. */
export function splitImage(text: string): Wanted {
  const at = text.lastIndexOf(':');
  const name = parseRepositoryName(at === -1 ? text : text.slice(0, at));
  const tag = at === -1 ? null : parseTag(text.slice(at + 1));
  return { name: name ?? undefined, tag: tag ?? undefined };
}

/** The image that is wanted, or else the first of the catalogue. */
export async function chooseImage(
  session: Session,
  wanted: Wanted | undefined,
): Promise<{ readonly image: ImageName } | { readonly finding: Finding }> {
  let name = wanted?.name;
  if (name === undefined) {
    const catalog = await session.send('GET', '/v2/_catalog?n=1');
    const value = catalog.kind === 'answer' ? parseJson(catalog.body) : undefined;
    const [first] = listOf(objectOf(value).repositories);
    name = typeof first === 'string' ? (parseRepositoryName(first) ?? undefined) : undefined;
    if (name === undefined) {
      const seen =
        catalog.kind === 'failure'
          ? catalog.message
          : `GET /v2/_catalog: ${String(catalog.status)}${catalog.status === 200 ? ', no repository' : ''}`;
      return { finding: { id: 'image-missing', seen } };
    }
  }
  if (wanted?.tag !== undefined) return { image: { name, tag: wanted.tag } };
  const list = await session.send('GET', `/v2/${name}/tags/list`);
  const tags = list.kind === 'answer' ? tagsOf(list) : [];
  const tag = parseTag(tags.includes('latest') ? 'latest' : (tags[0] ?? ''));
  if (tag === null)
    return {
      finding: {
        id: 'image-missing',
        seen: `GET /v2/${name}/tags/list: ${list.kind === 'failure' ? list.message : `${String(list.status)}, no tags`}`,
      },
    };
  return { image: { name, tag } };
}

/** The manifests with layers that clients got; of a list, the child for linux/amd64, or else the first. */
async function imageManifests(
  session: Session,
  image: ImageName,
  results: readonly ClientResult[],
): Promise<readonly Uint8Array[]> {
  const manifests = new Map<string, Uint8Array>();
  for (const { manifest, digest } of results)
    if (manifest !== undefined && digest !== undefined) manifests.set(digest, manifest.bytes);
  for (const [digest, bytes] of [...manifests]) {
    const form = formOfContent(bytes);
    if (form === null || !isListForm(form)) continue;
    manifests.delete(digest);
    const children = readLinks(bytes)?.children ?? [];
    const child =
      children.find(({ platform }) => platform?.os === 'linux' && platform.architecture === 'amd64') ?? children[0];
    if (child === undefined || manifests.has(child.digest)) continue;
    const answer = await session.send(
      'GET',
      `/v2/${image.name}/manifests/${child.digest}`,
      headersOf({ userAgent: undefined }, [child.mediaType], 'HEAD'),
    );
    if (answer.kind === 'answer' && answer.status === 200) manifests.set(child.digest, answer.body);
  }
  return [...manifests.values()];
}
