/**
 * Real clients by version: the headers that they send. What each of them cannot use is in `limits.ts`.
 *
 * Where `headers` is `source`, the headers were read in the client's source code. All others were captured.
 * Engines before 1.10 never send `Accept`. Docker 20 and later send it in several header lines, in an order that
 * changes with every request, so the order has no meaning.
 */
import { parseAccept } from '../../http/accept.ts';
import { MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../../registry/media-type.ts';
import type { Client } from '../negotiate.ts';

const OI = MEDIA_TYPE_OF_FORM['oci-index'];
const OM = MEDIA_TYPE_OF_FORM['oci-manifest'];
const DL = MEDIA_TYPE_OF_FORM['docker-list'];
const D2 = MEDIA_TYPE_OF_FORM['docker-schema2'];
const S1P = MEDIA_TYPE_OF_FORM['docker-schema1'];
const S1 = SCHEMA1_PLAIN;
const JSON_TYPE = 'application/json';
const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json';

/** A family of clients: versions that send the same headers and have the same limits. */
export interface KnownClient {
  readonly id: string;
  readonly title: string;
  /** Undefined if it has no meaning for negotiation. */
  readonly userAgent: string | undefined;
  /** How it requests a tag: HEAD first and then GET by the digest of the answer, or GET at once. */
  readonly first: 'HEAD' | 'GET';
  /** `Accept` of the first request, one item for each header line; empty for none. */
  readonly accept: readonly string[];
  /** `Accept` of the GET by digest after a HEAD, made from the media type of the HEAD answer; absent: as the first. */
  readonly acceptAfterHead?: (mediaType: string) => readonly string[];
  /** Where the headers are from. */
  readonly headers: 'captured' | 'source';
  /** Before 1.10: reads only schema 1, does not follow 308, supports TLS 1.2 at most. */
  readonly old?: true;
}

const CONTAINERD_ACCEPT = [[D2, DL, OM, OI, '*/*'].join(', ')] as const;
const containerdAfterHead = (mediaType: string): readonly string[] => [`${mediaType}, */*`];
const engine = (version: string, go: string, commit: string): string =>
  `docker/${version} go/${go} git-commit/${commit} kernel/6.1.0 os/linux arch/amd64`;
const engineFor = (version: string, go: string, commit: string): string =>
  `${engine(version, go, commit)} UpstreamClient(Docker-Client/${version.replace(/\+.*/, '')} \\(linux\\))`;
const ENGINE_ACCEPT = [S1P, JSON_TYPE, OM, D2, DL, OI] as const;

/**
 * The families, oldest first. `gantry doctor` sends the requests of each of them; `gantry explain` and pages show what
 * each one gets.
 */
export const CLIENTS = [
  {
    id: 'docker-1.6',
    title: 'Docker 1.6',
    userAgent: engine('1.6.2', 'go1.4.2', '7c8fca2'),
    first: 'GET',
    accept: [],
    headers: 'captured',
    old: true,
  },
  {
    id: 'docker-1.7',
    title: 'Docker 1.7',
    userAgent: engine('1.7.1', 'go1.4.2', '786b29d'),
    first: 'GET',
    accept: [],
    headers: 'captured',
    old: true,
  },
  {
    id: 'docker-1.8',
    title: 'Docker 1.8',
    userAgent: engine('1.8.3', 'go1.4.2', 'f4bf5c7'),
    first: 'GET',
    accept: [],
    headers: 'captured',
    old: true,
  },
  {
    id: 'docker-1.9',
    title: 'Docker 1.9',
    userAgent: engine('1.9.1', 'go1.4.3', 'a34a1d5'),
    first: 'GET',
    accept: [],
    headers: 'captured',
    old: true,
  },
  {
    id: 'docker-1.10',
    title: 'Docker 1.10–18.05',
    userAgent: engineFor('17.09.1-ce', 'go1.8.3', '19e2cf6'),
    first: 'GET',
    accept: [S1P, JSON_TYPE, D2, DL],
    headers: 'source',
  },
  {
    id: 'docker-18',
    title: 'Docker 18.06–18.09',
    userAgent: engineFor('18.09.9', 'go1.11.13', '9552f2b'),
    first: 'GET',
    accept: ENGINE_ACCEPT,
    headers: 'source',
  },
  {
    id: 'docker-19.03.0',
    title: 'Docker 19.03.0–19.03.4',
    userAgent: engineFor('19.03.4', 'go1.12.10', 'adfac69'),
    first: 'GET',
    accept: ENGINE_ACCEPT,
    headers: 'source',
  },
  {
    id: 'docker-19',
    title: 'Docker 19.03.5–19.03.15',
    userAgent: engineFor('19.03.15', 'go1.13.15', '420b1d3'),
    first: 'GET',
    accept: ENGINE_ACCEPT,
    headers: 'source',
  },
  {
    id: 'docker-20',
    title: 'Docker 20.10',
    userAgent: engineFor('20.10.24+dfsg1', 'go1.19.8', '5d6db84'),
    first: 'HEAD',
    accept: ENGINE_ACCEPT,
    headers: 'captured',
  },
  {
    id: 'docker-23',
    title: 'Docker 23–25',
    userAgent: engineFor('25.0.5', 'go1.21.8', '105a2ca'),
    first: 'HEAD',
    accept: ENGINE_ACCEPT,
    headers: 'source',
  },
  {
    id: 'docker-28',
    title: 'Docker 26–29',
    userAgent: engineFor('28.5.2', 'go1.24.9', '89c5e8f'),
    first: 'HEAD',
    accept: [DL, OI, OM, S1P, JSON_TYPE, D2],
    headers: 'captured',
  },
  {
    id: 'containerd-1.4',
    title: 'containerd 1.4',
    userAgent: 'containerd/1.4.13',
    first: 'HEAD',
    accept: CONTAINERD_ACCEPT,
    acceptAfterHead: containerdAfterHead,
    headers: 'source',
  },
  {
    id: 'containerd-1.6',
    title: 'containerd 1.5–1.7',
    userAgent: 'containerd/1.6.20~ds1',
    first: 'HEAD',
    accept: CONTAINERD_ACCEPT,
    acceptAfterHead: containerdAfterHead,
    headers: 'captured',
  },
  {
    id: 'containerd-2',
    title: 'containerd 2.0–2.2 (Docker 28–29 on it)',
    userAgent: 'containerd/2.1.9+unknown',
    first: 'HEAD',
    accept: CONTAINERD_ACCEPT,
    acceptAfterHead: containerdAfterHead,
    headers: 'captured',
  },
  {
    // With containers/image before 5.38: podman before 5.7, skopeo before 1.21, buildah before 1.42, CRI-O before 1.35.
    id: 'podman-5.6',
    title: 'podman ≤ 5.6, skopeo ≤ 1.20, buildah ≤ 1.41',
    userAgent: 'containers/5.34.2 (github.com/containers/image)',
    first: 'GET',
    accept: [OM, D2, S1P, S1, DL, OI],
    headers: 'captured',
  },
  {
    id: 'podman',
    title: 'podman 5.7, skopeo 1.21, buildah 1.42',
    userAgent: 'containers/5.39.2 (github.com/containers/image)',
    first: 'GET',
    accept: [OM, D2, S1P, S1, DL, OI],
    headers: 'captured',
  },
  {
    id: 'crane',
    title: 'crane, Kaniko',
    userAgent: 'go-containerregistry',
    first: 'GET',
    accept: [[S1, S1P, D2, OM, DL, OI].join(',')],
    headers: 'captured',
  },
  {
    id: 'oras',
    title: 'oras',
    userAgent: 'oras/1.2.0',
    first: 'GET',
    accept: [[D2, DL, OM, OI, OCI_ARTIFACT].join(', ')],
    headers: 'captured',
  },
  {
    id: 'docker-cli',
    title: 'docker manifest inspect',
    userAgent: 'Docker-Client/28.5.2 (linux)',
    first: 'GET',
    accept: [OM, OI, D2, DL],
    headers: 'captured',
  },
  {
    // systemd, src/import/pull-oci.c: oci_pull_start; curl-util.c: the User-Agent.
    id: 'systemd',
    title: 'importctl pull-oci (systemd 260)',
    userAgent: 'systemd-pull/260',
    first: 'GET',
    accept: [[OM, OI].join(', ')],
    headers: 'source',
  },
  {
    id: 'pulp-2',
    title: 'Pulp 2 (schema 2)',
    userAgent: undefined,
    first: 'GET',
    accept: [[D2, DL].join(',')],
    headers: 'source',
  },
  {
    // Pulp 2 stores every 200 answer to this, so anything but schema 1 or a 404 breaks its mirror.
    id: 'pulp-2-schema1',
    title: 'Pulp 2 (schema 1)',
    userAgent: undefined,
    first: 'GET',
    accept: [[S1, S1P].join(',')],
    headers: 'source',
  },
  {
    id: 'pulp-3',
    title: 'Pulp 3',
    userAgent: undefined,
    first: 'HEAD',
    accept: [[D2, S1, S1P, DL, OI, OM].join(',')],
    headers: 'source',
  },
  {
    id: 'curl',
    title: 'curl',
    userAgent: 'curl/8.14.1',
    first: 'GET',
    accept: ['*/*'],
    headers: 'captured',
  },
] as const satisfies readonly KnownClient[];

/** The id of a family. */
export type ClientId = (typeof CLIENTS)[number]['id'];

/** A family as negotiation sees it. */
export function clientOf({ accept, userAgent }: KnownClient): Client {
  return { accept: parseAccept(accept.length === 0 ? null : accept.join(', ')), userAgent: userAgent ?? null };
}
