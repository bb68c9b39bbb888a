/**
 * An account at Cloudflare as its API shows it: zones, buckets, Workers. It refuses what the documentation says is
 * refused. Sources: Cloudflare's API reference (Workers Scripts, Versions, Deployments, Custom Domains, R2 Buckets) and
 * its pages "Workers · Error codes", "R2 · Error codes" and "Workers · Limits" (November 2026).
 */
import { createHash, randomUUID } from 'node:crypto';

/** An error of the API. `status` is the HTTP status that the documentation gives the code. */
export class RefusedError extends Error {
  readonly status: number;
  readonly code: number;

  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** A binding of a Worker, as uploaded. */
export interface Binding {
  readonly name: string;
  readonly type: string;
  readonly [member: string]: unknown;
}

/** The `metadata` part of an upload. */
export interface UploadMetadata {
  readonly main_module?: string;
  readonly bindings?: readonly Binding[];
  readonly keep_bindings?: readonly string[];
  readonly limits?: unknown;
  readonly [member: string]: unknown;
}

/** One version of a Worker: what was uploaded, and the bindings that it has in the end. */
export interface Version {
  readonly id: string;
  readonly metadata: UploadMetadata;
  readonly modules: ReadonlyMap<string, { readonly type: string; readonly bytes: Buffer }>;
  readonly bindings: readonly Binding[];
}

/** A custom domain of a Worker. */
export interface Domain {
  readonly hostname: string;
  readonly service: string;
}

/** A Worker. The last version is the deployed one. */
export interface Worker {
  readonly name: string;
  readonly tag: string;
  readonly versions: Version[];
  readonly deployments: { readonly id: string; readonly versions: readonly unknown[] }[];
  subdomain: { readonly enabled: boolean; readonly previews_enabled: boolean };
  settings: Readonly<Record<string, unknown>>;
  routes: readonly Readonly<Record<string, unknown>>[];
}

/** A variable or secret has 5 KB at most ("Workers · Limits"). */
const TEXT_MAX = 5_000;

/** See the file's comment. */
export class CloudflareAccount {
  readonly id = createHash('md5').update('an account').digest('hex');
  readonly name = 'Example';
  plan: 'free' | 'paid' = 'paid';
  hasR2 = true;
  /** Hosts that have a DNS record that no Worker owns. */
  readonly dnsRecords = new Set<string>();
  readonly zones = new Map([['example.com', createHash('md5').update('a zone').digest('hex')]]);
  /** Names of the buckets of each jurisdiction; `default` has those without one. */
  readonly buckets = new Map<string, Set<string>>([['default', new Set()]]);
  readonly workers = new Map<string, Worker>();
  readonly domains = new Map<string, Domain>();

  /** The Worker. Throws error 10007 if there is none. */
  worker(name: string): Worker {
    const worker = this.workers.get(name);
    if (worker === undefined) throw new RefusedError(404, 10_007, 'This Worker does not exist on your account.');
    return worker;
  }

  /** The deployed version of a Worker. */
  deployed(name: string): Version {
    const version = this.worker(name).versions.at(-1);
    if (version === undefined) throw new RefusedError(404, 10_071, 'Worker version not found.');
    return version;
  }

  bucket(name: string, jurisdiction = 'default'): { readonly name: string } {
    if (!this.hasR2) throw new RefusedError(403, 10_042, 'Please enable R2 through the Cloudflare Dashboard.');
    if (this.buckets.get(jurisdiction)?.has(name) !== true) {
      throw new RefusedError(404, 10_006, 'The specified bucket does not exist.');
    }
    return { name };
  }

  createBucket(name: string, jurisdiction = 'default'): void {
    const names = this.buckets.get(jurisdiction) ?? new Set();
    this.buckets.set(jurisdiction, names.add(name));
  }

  /** Takes an upload as a new version, and deploys it. */
  upload(name: string, metadata: UploadMetadata, modules: Version['modules']): Version {
    const before = this.workers.get(name)?.versions.at(-1)?.bindings ?? [];
    const own = metadata.bindings ?? [];
    this.#check(metadata, modules);
    // What the upload does not name stays if its type is to be kept.
    const kept = before.filter(
      ({ name: one, type }) =>
        metadata.keep_bindings?.includes(type) === true && !own.some((other) => other.name === one),
    );
    return this.#add(name, { metadata, modules, bindings: [...own, ...kept] });
  }

  /** Sets a secret, which makes a new version. */
  putSecret(name: string, secret: Binding): void {
    if (String(secret.text).length > TEXT_MAX) throw tooLarge(secret.name, String(secret.text));
    const last = this.deployed(name);
    this.#add(name, { ...last, bindings: [...last.bindings.filter((one) => one.name !== secret.name), secret] });
  }

  /** The Worker's secrets, without their text. */
  secrets(name: string): readonly { readonly name: string; readonly type: string }[] {
    return this.deployed(name)
      .bindings.filter(({ type }) => type === 'secret_text')
      .map(({ name: secret, type }) => ({ name: secret, type }));
  }

  /** What attaching the hosts would change. */
  domainChanges(service: string, hosts: readonly string[]): Readonly<Record<string, readonly unknown[]>> {
    const known = hosts.filter((host) => this.domains.has(host));
    return {
      added: hosts.filter((host) => !known.includes(host)).map((hostname) => ({ hostname })),
      updated: known.map((hostname) => ({
        id: hostname,
        hostname,
        modified: this.domains.get(hostname)?.service !== service,
      })),
      removed: [],
      conflicting: hosts.filter((host) => this.dnsRecords.has(host)).map((hostname) => ({ hostname })),
    };
  }

  /** Makes the hosts the Worker's custom domains. */
  attach(
    service: string,
    hosts: readonly string[],
    { overrideOrigin, overrideDns }: { readonly overrideOrigin: boolean; readonly overrideDns: boolean },
  ): void {
    for (const host of hosts) {
      if (![...this.zones.keys()].some((zone) => host === zone || host.endsWith(`.${zone}`))) {
        throw new RefusedError(400, 100_112, `Hostname ${host} does not belong to zone.`);
      }
      const owner = this.domains.get(host)?.service ?? service;
      if (owner !== service && !overrideOrigin) {
        throw new RefusedError(409, 100_116, `Hostname ${host} is already configured as a custom domain.`);
      }
      if (this.dnsRecords.has(host) && !overrideDns) {
        throw new RefusedError(409, 100_117, `Hostname ${host} has existing DNS records that conflict.`);
      }
    }
    for (const hostname of hosts) {
      this.dnsRecords.delete(hostname);
      this.domains.set(hostname, { hostname, service });
    }
  }

  #check({ main_module, bindings = [], limits }: UploadMetadata, modules: Version['modules']): void {
    if (main_module === undefined || !modules.has(main_module)) {
      throw new RefusedError(400, 10_021, 'Uncaught Error: No such module.');
    }
    if (limits !== undefined && this.plan === 'free') {
      throw new RefusedError(400, 100_328, 'CPU limits are not available on the free plan.');
    }
    for (const { name, type, text, json, bucket_name, jurisdiction } of bindings) {
      const value = type === 'json' ? JSON.stringify(json) : String(text);
      if ((type === 'plain_text' || type === 'json') && Buffer.byteLength(value) > TEXT_MAX)
        throw tooLarge(name, value);
      if (type !== 'r2_bucket') continue;
      if (!this.hasR2) throw new RefusedError(403, 10_084, 'Your account does not have access to R2.');
      const place = typeof jurisdiction === 'string' ? jurisdiction : 'default';
      if (this.buckets.get(place)?.has(String(bucket_name)) !== true) {
        throw new RefusedError(400, 10_085, `R2 bucket ${String(bucket_name)} not found.`);
      }
    }
  }

  #add(name: string, version: Omit<Version, 'id'>): Version {
    const worker = this.workers.get(name) ?? {
      name,
      tag: randomUUID().replaceAll('-', ''),
      versions: [],
      deployments: [],
      subdomain: { enabled: false, previews_enabled: false },
      settings: {},
      routes: [],
    };
    this.workers.set(name, worker);
    const added = { ...version, id: randomUUID() };
    worker.versions.push(added);
    return added;
  }
}

function tooLarge(name: string, text: string): RefusedError {
  const size = String(Buffer.byteLength(text));
  return new RefusedError(400, 10_054, `Text binding ${name} is too large (${size} bytes). The limit is 5000 bytes.`);
}
