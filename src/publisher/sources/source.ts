import type { ImageSource } from '../../bucket/image-source.ts';
import type { Descriptor } from '../../registry/descriptor.ts';
import type { Digest } from '../../registry/digest.ts';
import type { RepositoryName, Tag } from '../../registry/name.ts';
import type { Platform } from '../../registry/platform.ts';

/** How a source is read. */
export interface SourceOptions {
  /** All variables of the process: some sources read their own (`DOCKER_CONFIG`, `REGISTRY_AUTH_FILE` …). */
  readonly env: Readonly<NodeJS.ProcessEnv>;
  /** `USER:PASSWORD` for a registry; it comes before any login that the environment offers. */
  readonly creds?: string;
  /** Host → `USER:PASSWORD`, each for that registry alone; it comes before any login that the environment offers. */
  readonly credsByHost?: ReadonlyMap<string, string>;
  /** False: plain http and any certificate are accepted. Undefined: only on this machine. */
  readonly tlsVerify?: boolean;
  /** The platforms wanted of a list: a source need not fetch others. Empty means all. */
  readonly platforms?: readonly Platform[];
  /** The most bytes that an archive may unpack to. Undefined: a default, and a limit on the ratio. */
  readonly maxUnpacked?: number;
  readonly signal?: AbortSignal;
  /** Receives messages for the user, e.g. that an archive is copied to disk first. */
  readonly onMessage?: (message: string) => void;
}

/**
 * The tags of a repository. `warning`: the `Warning` that came with the list, which may be out of date or incomplete
 * then.
 */
export interface SourceTags {
  readonly tags: readonly Tag[];
  readonly warning?: string;
}

/** A repository of a source, with its tags. */
export interface SourceRepository {
  /** For messages. */
  readonly title: string;
  /** Its name in the source. */
  readonly name: RepositoryName;
  /** All tags; null if the repository does not exist. */
  tags(): Promise<SourceTags | null>;
  /**
   * The digests of a tag's manifests, read as cheaply as possible; null if the tag does not exist or the source reports
   * none.
   */
  digests(tag: Tag): Promise<readonly Digest[] | null>;
  /** Opens a tag; null if it does not exist. `schema1`: whether to request schema 1 as well. */
  open(tag: Tag, options: { readonly schema1: boolean }): Promise<ImageSource | null>;
  /**
   * The referrers of a manifest, in one request at most; null if the repository has none at all. `tags`: all tags of
   * the repository. Absent if the source has no referrers.
   */
  referrers?(subject: Digest, tags: ReadonlySet<Tag>): Promise<readonly Descriptor[] | null>;
  close(): Promise<void>;
}
