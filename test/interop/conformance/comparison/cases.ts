/** The requests that are compared: each image by each client, and what registries answer beside pulls. */
import { readFile } from 'node:fs/promises';
import { FORMS, MEDIA_TYPE_OF_FORM } from '../../../../src/registry/media-type.ts';
import type { ComparedImage } from './images.ts';

/** What a request is about. */
export type Group = 'manifest by tag' | 'manifest by digest' | 'blob' | 'list' | 'other';

/** A request. */
export interface Case {
  readonly group: Group;
  /** What the request is, within its group. */
  readonly label: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Several values: several lines. */
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly image: ComparedImage | null;
}

interface RecordedClient {
  readonly by: 'tag' | 'digest';
  readonly userAgent: string;
  readonly accept: readonly string[];
}

/** `Accept` as nobody's: each form alone, wildcards, weights. `null`: none. */
const ACCEPTS: Readonly<Record<string, string | null>> = {
  'no Accept': null,
  '*/*': '*/*',
  'application/*': 'application/*',
  'application/json': 'application/json',
  'text/html': 'text/html',
  'schema 1 without signature': 'application/vnd.docker.distribution.manifest.v1+json',
  ...Object.fromEntries(FORMS.map((form) => [`${form} alone`, MEDIA_TYPE_OF_FORM[form]])),
  'OCI manifest q=0.1, schema 2': `${MEDIA_TYPE_OF_FORM['oci-manifest']};q=0.1, ${MEDIA_TYPE_OF_FORM['docker-schema2']}`,
  'schema 2 q=0, any': `${MEDIA_TYPE_OF_FORM['docker-schema2']};q=0, */*`,
  'OCI manifest q=0, any': `${MEDIA_TYPE_OF_FORM['oci-manifest']};q=0, */*`,
};

/** Engines that send no `Accept`. */
const OLD_ENGINES: Readonly<Record<string, string>> = {
  'docker 1.9.1': 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/3.10.0 os/linux arch/amd64',
  'docker 1.6.2': 'docker/1.6.2 go/go1.4.2 git-commit/7c8fca2 kernel/3.10.0 os/linux arch/amd64',
};

/** All requests over these images. `quick`: one client for each `Accept`. */
export async function casesOf(images: readonly ComparedImage[], quick: boolean): Promise<readonly Case[]> {
  const text = await readFile(new URL('../../../fixtures/clients.json', import.meta.url), 'utf8');
  const clients = JSON.parse(text) as readonly RecordedClient[];
  const chosen = quick ? [...new Map(clients.map((one) => [one.by + one.accept.join('\n'), one])).values()] : clients;
  const [first] = images;
  if (first === undefined) return [];
  return [
    ...images.flatMap((image) => manifestCases(image, chosen)),
    ...blobCases(images),
    ...listCases(first),
    ...otherCases(first),
  ];
}

function manifestCases(image: ComparedImage, clients: readonly RecordedClient[]): readonly Case[] {
  const { name, tag, manifests, derivedSchema1 } = image;
  const at = (reference: string): string => `/v2/${name}/manifests/${reference}`;
  const common = { method: 'GET', image } as const;
  const byTag = { ...common, group: 'manifest by tag', path: at(tag) } as const;
  const cases: Case[] = [];
  for (const { by, userAgent, accept } of clients) {
    const headers = { 'user-agent': userAgent, accept: [...accept] };
    if (by === 'tag') cases.push({ ...byTag, label: userAgent, headers });
    else {
      for (const digest of manifests)
        cases.push({ ...common, group: 'manifest by digest', label: userAgent, path: at(digest), headers });
    }
  }
  for (const [label, accept] of Object.entries(ACCEPTS)) {
    const headers = { 'user-agent': 'test', ...(accept !== null && { accept }) };
    cases.push({ ...byTag, label, headers });
    for (const digest of manifests)
      cases.push({ ...common, group: 'manifest by digest', label, path: at(digest), headers });
  }
  for (const [label, userAgent] of Object.entries(OLD_ENGINES)) {
    const headers = { 'user-agent': userAgent };
    cases.push({ ...byTag, label, headers });
    for (const digest of manifests)
      cases.push({ ...common, group: 'manifest by digest', label, path: at(digest), headers });
  }
  if (derivedSchema1 !== null) {
    const headers = { accept: '*/*' };
    cases.push({
      ...common,
      group: 'manifest by digest',
      label: 'derived schema 1',
      path: at(derivedSchema1),
      headers,
    });
  }
  for (const [label, etag] of [
    ['If-None-Match: its digest', `"${manifests[0] ?? ''}"`],
    ['If-None-Match: another', '"sha256:0"'],
    ['If-None-Match: *', '*'],
  ] as const) {
    const headers = {
      accept: '*/*, application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json',
      'if-none-match': etag,
    };
    cases.push({ ...byTag, label, headers });
    cases.push({ ...common, group: 'manifest by digest', label, path: at(manifests[0] ?? ''), headers });
  }
  return cases;
}

function blobCases(images: readonly ComparedImage[]): readonly Case[] {
  const [first] = images;
  const common = { group: 'blob', method: 'GET' } as const;
  const whole = images.flatMap((image) =>
    (['config', 'layer'] as const).flatMap((part): readonly Case[] => {
      const digest = image[part];
      if (digest === null) return [];
      return [{ ...common, image, label: part, path: `/v2/${image.name}/blobs/${digest}`, headers: {} }];
    }),
  );
  if (first?.config == null) return whole;
  const path = `/v2/${first.name}/blobs/${first.config}`;
  const conditions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'a range': { range: 'bytes=2-9' },
    'a range to the end': { range: 'bytes=100-' },
    'the last bytes': { range: 'bytes=-5' },
    'a range that ends beyond the end': { range: 'bytes=100-99999999' },
    'two ranges': { range: 'bytes=0-9,100-119' },
    'a range beyond the end': { range: 'bytes=99999999-' },
    'a range that is none': { range: 'bytes=9-2' },
    'a unit that is unknown': { range: 'lines=1-2' },
    'If-None-Match: its digest': { 'if-none-match': `"${first.config}"` },
    'If-Range: its digest': { range: 'bytes=2-9', 'if-range': `"${first.config}"` },
    'If-Range: another': { range: 'bytes=2-9', 'if-range': '"another"' },
    'Accept-Encoding: gzip': { 'accept-encoding': 'gzip' },
  };
  return [
    ...whole,
    ...Object.entries(conditions).map(([label, headers]): Case => ({ ...common, image: first, label, path, headers })),
  ];
}

function listCases({ name }: ComparedImage): readonly Case[] {
  const common = { group: 'list', method: 'GET', headers: {}, image: null } as const;
  const queries = ['', '?n=1', '?n=1&last=1.0', '?last=1.0', '?last=zzz', '?n=1000', '?n=0', '?n=-1', '?n=x'];
  return [
    ...queries.map((query): Case => ({ ...common, label: `tags${query}`, path: `/v2/${name}/tags/list${query}` })),
    // From `matrix` on: before it, each registry has repositories of its own.
    ...['?last=matrix', '?n=2&last=matrix', '?n=0&last=matrix', '?n=x'].map((query): Case => ({
      ...common,
      label: `catalogue${query}`,
      path: `/v2/_catalog${query}`,
    })),
  ];
}

function otherCases({ name, tag, manifests: [digest = ''], layer }: ComparedImage): readonly Case[] {
  const common = { group: 'other', method: 'GET', headers: { accept: '*/*' }, image: null } as const;
  const absent = `sha256:${'0'.repeat(64)}`;
  const paths: Readonly<Record<string, string>> = {
    ping: '/v2/',
    'ping without a slash': '/v2',
    'an unknown tag': `/v2/${name}/manifests/unknown`,
    'a tag that is none': `/v2/${name}/manifests/.none`,
    'an unknown manifest': `/v2/${name}/manifests/${absent}`,
    'a manifest digest that is none': `/v2/${name}/manifests/sha256:abc`,
    'a manifest of an unknown algorithm': `/v2/${name}/manifests/md5:${'0'.repeat(32)}`,
    'an unknown blob': `/v2/${name}/blobs/${absent}`,
    'a blob digest that is none': `/v2/${name}/blobs/sha256:abc`,
    'a manifest as a blob': `/v2/${name}/blobs/${digest}`,
    'a blob as a manifest': `/v2/${name}/manifests/${layer}`,
    'a tag of an unknown repository': '/v2/unknown/image/manifests/1.0',
    'a blob of an unknown repository': `/v2/unknown/image/blobs/${absent}`,
    'the tags of an unknown repository': '/v2/unknown/image/tags/list',
    'the referrers of a manifest': `/v2/${name}/referrers/${digest}`,
    'the referrers in an unknown repository': `/v2/unknown/image/referrers/${absent}`,
    'a name that is none': '/v2/Upper/Case/manifests/1.0',
    'an unknown endpoint': `/v2/${name}/nothing`,
  };
  return [
    ...Object.entries(paths).map(([label, path]): Case => ({ ...common, label, path })),
    // Nothing is mirrored here, so `ns` changes nothing.
    {
      ...common,
      group: 'manifest by digest',
      label: 'ns',
      path: `/v2/${name}/manifests/${digest}?ns=registry.example.com`,
    },
    { ...common, label: 'begin an upload', method: 'POST', path: `/v2/${name}/blobs/uploads/` },
    { ...common, label: 'push a manifest', method: 'PUT', path: `/v2/${name}/manifests/${tag}` },
    { ...common, label: 'delete an unknown manifest', method: 'DELETE', path: `/v2/${name}/manifests/${absent}` },
    { ...common, label: 'delete an unknown blob', method: 'DELETE', path: `/v2/${name}/blobs/${absent}` },
  ];
}
