/**
 * Real clients: their captured request headers, and the forms that they can use.
 *
 * Engines before 1.10 never send `Accept`. Docker 20 and later send it in several header lines, in an order that
 * changes with every request, so the order has no meaning.
 */
import { type Form, MEDIA_TYPE_OF_FORM, SCHEMA1_PLAIN } from '../../registry/media-type.ts';

const OI = MEDIA_TYPE_OF_FORM['oci-index'];
const OM = MEDIA_TYPE_OF_FORM['oci-manifest'];
const DL = MEDIA_TYPE_OF_FORM['docker-list'];
const D2 = MEDIA_TYPE_OF_FORM['docker-schema2'];
const S1P = MEDIA_TYPE_OF_FORM['docker-schema1'];
const S1 = SCHEMA1_PLAIN;
const JSON_TYPE = 'application/json';
const OCI_ARTIFACT = 'application/vnd.oci.artifact.manifest.v1+json';

/** A family of clients. */
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
  /** Forms that it can use. */
  readonly reads: readonly Form[];
  /** A 404 is a correct answer, too: the client asks whether the form exists. */
  readonly mayMiss?: true;
  /** Before 1.10: reads only schema 1, does not follow 308, supports TLS 1.2 at most. */
  readonly old?: true;
}

const EVERY_FORM = ['oci-index', 'docker-list', 'oci-manifest', 'docker-schema2', 'docker-schema1'] as const;
const NO_SCHEMA1 = ['oci-index', 'docker-list', 'oci-manifest', 'docker-schema2'] as const;
const CONTAINERD_ACCEPT = [[D2, DL, OM, OI, '*/*'].join(', ')] as const;
const containerdAfterHead = (mediaType: string): readonly string[] => [`${mediaType}, */*`];

/**
 * The families, oldest first. `gantry doctor` sends the requests of each of them; `gantry explain` and pages show what
 * each one gets.
 */
export const CLIENTS = [
  {
    id: 'docker-1.6',
    title: 'Docker 1.6–1.7',
    userAgent: 'docker/1.6.2 go/go1.4.3 git-commit/7c8fca2 kernel/3.16.0 os/linux arch/amd64',
    first: 'GET',
    accept: [],
    reads: ['docker-schema1'],
    old: true,
  },
  {
    id: 'docker-1.9',
    title: 'Docker 1.8–1.9',
    userAgent: 'docker/1.9.1 go/go1.4.3 git-commit/a34a1d5 kernel/3.16.0 os/linux arch/amd64',
    first: 'GET',
    accept: [],
    reads: ['docker-schema1'],
    old: true,
  },
  {
    id: 'docker-20',
    title: 'Docker 20.10',
    userAgent:
      'docker/20.10.24+dfsg1 go/go1.19.8 git-commit/5d6db84 kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/20.10.24 \\(linux\\))',
    first: 'HEAD',
    accept: [S1P, JSON_TYPE, OM, D2, DL, OI],
    reads: EVERY_FORM,
  },
  {
    id: 'docker-28',
    title: 'Docker 26–28',
    userAgent:
      'docker/28.5.2 go/go1.24.9 git-commit/89c5e8f kernel/6.1.0 os/linux arch/amd64 UpstreamClient(Docker-Client/28.5.2 \\(linux\\))',
    first: 'HEAD',
    accept: [DL, OI, OM, S1P, JSON_TYPE, D2],
    reads: NO_SCHEMA1,
  },
  {
    id: 'containerd-1.6',
    title: 'containerd 1.6–1.7',
    userAgent: 'containerd/1.6.20~ds1',
    first: 'HEAD',
    accept: CONTAINERD_ACCEPT,
    acceptAfterHead: containerdAfterHead,
    reads: EVERY_FORM,
  },
  {
    id: 'containerd-2',
    title: 'containerd 2 (Docker 28 on it)',
    userAgent: 'containerd/2.1.9+unknown',
    first: 'HEAD',
    accept: CONTAINERD_ACCEPT,
    acceptAfterHead: containerdAfterHead,
    reads: NO_SCHEMA1,
  },
  {
    id: 'podman',
    title: 'podman/skopeo/buildah',
    userAgent: 'containers/5.34.2 (github.com/containers/image)',
    first: 'GET',
    accept: [OM, D2, S1P, S1, DL, OI],
    reads: EVERY_FORM,
  },
  {
    id: 'crane',
    title: 'crane',
    userAgent: 'go-containerregistry',
    first: 'GET',
    accept: [[S1, S1P, D2, OM, DL, OI].join(',')],
    reads: NO_SCHEMA1,
  },
  {
    id: 'oras',
    title: 'oras',
    userAgent: 'oras/1.2.0',
    first: 'GET',
    accept: [[D2, DL, OM, OI, OCI_ARTIFACT].join(', ')],
    reads: NO_SCHEMA1,
  },
  {
    id: 'docker-cli',
    title: 'docker manifest inspect',
    userAgent: 'Docker-Client/28.5.2 (linux)',
    first: 'GET',
    accept: [OM, OI, D2, DL],
    reads: NO_SCHEMA1,
  },
  {
    id: 'pulp-2',
    title: 'Pulp 2 (schema 2)',
    userAgent: undefined,
    first: 'GET',
    accept: [[D2, DL].join(',')],
    reads: ['docker-schema2', 'docker-list'],
    mayMiss: true,
  },
  {
    // Pulp 2 stores every 200 answer to this, so anything but schema 1 or a 404 breaks its mirror.
    id: 'pulp-2-schema1',
    title: 'Pulp 2 (schema 1)',
    userAgent: undefined,
    first: 'GET',
    accept: [[S1, S1P].join(',')],
    reads: ['docker-schema1'],
    mayMiss: true,
  },
  {
    id: 'pulp-3',
    title: 'Pulp 3',
    userAgent: undefined,
    first: 'HEAD',
    accept: [[D2, S1, S1P, DL, OI, OM].join(',')],
    reads: EVERY_FORM,
  },
  {
    id: 'curl',
    title: 'curl',
    userAgent: 'curl/8.14.1',
    first: 'GET',
    accept: ['*/*'],
    reads: EVERY_FORM,
  },
] as const satisfies readonly KnownClient[];

/** The id of a family. */
export type ClientId = (typeof CLIENTS)[number]['id'];
