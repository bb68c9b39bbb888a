/**
 * What an administrator puts into Pulp: pushed images, synced repositories, a pull-through cache, private repositories
 * and who may read them.
 */
import { createHash } from 'node:crypto';
import { run } from '../programs.ts';
import { API, type Resource } from './administrator.ts';
import { ADMIN, type Pulp } from './pulp.ts';

/** An account of Pulp's. */
export interface Account {
  readonly username: string;
  readonly password: string;
}

/** Pushes by skopeo with every byte kept. `source` as skopeo takes it; the repository is made by the push. */
export async function push(pulp: Pulp, source: string, image: string, account: Account = ADMIN): Promise<void> {
  const credentials = `${account.username}:${account.password}`;
  const options = ['--quiet', '--all', '--preserve-digests', '--dest-tls-verify=false', '--dest-creds', credentials];
  for (let attempt = 1; ; attempt++) {
    const { code, stderr } = await run('skopeo', ['copy', ...options, source, `docker://${pulp.host}/${image}`]);
    if (code === 0) return;
    // On a busy machine Pulp answers 500 where its task for the push before is late.
    if (attempt === PUSHES || !/ 50\d /.test(stderr)) throw new Error(`skopeo copy ${source} ${image}: ${stderr}`);
  }
}

/** Attempts of a push. */
const PUSHES = 3;

/**
 * Pushes a manifest with its blobs, byte for byte, as the distribution specification has it: for what skopeo does not
 * push. Gives its digest.
 */
export async function pushManifest(
  pulp: Pulp,
  name: string,
  tag: string,
  {
    bytes,
    mediaType,
    blobs,
  }: { readonly bytes: Uint8Array; readonly mediaType: string; readonly blobs: readonly Uint8Array[] },
): Promise<string> {
  const basic = `Basic ${Buffer.from(`${ADMIN.username}:${ADMIN.password}`).toString('base64')}`;
  const scope = encodeURIComponent(`repository:${name}:pull,push`);
  const granted = await fetch(`${pulp.url}/token/?service=${pulp.host}&scope=${scope}`, {
    headers: { authorization: basic },
  });
  const { token } = (await granted.json()) as { token: string };
  const send = async (method: 'POST' | 'PUT', path: string, body: Uint8Array, type: string): Promise<void> => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': type };
    const answer = await fetch(`${pulp.url}/v2/${name}/${path}`, { method, headers, body });
    if (answer.status !== 201) throw new Error(`${method} ${path}: ${String(answer.status)} ${await answer.text()}`);
  };
  for (const blob of blobs)
    await send('POST', `blobs/uploads/?digest=${sha256(blob)}`, blob, 'application/octet-stream');
  await send('PUT', `manifests/${tag}`, bytes, mediaType);
  return sha256(bytes);
}

function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * Makes a repository that mirrors one of another registry, syncs it and distributes it under `name`. Gives what syncs
 * it again.
 */
export async function addSynced(
  pulp: Pulp,
  name: string,
  upstream: { readonly url: string; readonly name: string; readonly sigstore?: string },
): Promise<() => Promise<void>> {
  const { admin } = pulp;
  const remote = await admin.change('POST', `${API}/remotes/container/container/`, {
    name,
    url: upstream.url,
    upstream_name: upstream.name,
    policy: 'immediate',
    ...(upstream.sigstore !== undefined && { sigstore: upstream.sigstore }),
  });
  const repository = await admin.change('POST', `${API}/repositories/container/container/`, { name });
  const sync = async (): Promise<void> => {
    await admin.change('POST', `${repository.pulp_href}sync/`, { remote: remote.pulp_href, mirror: true });
  };
  await sync();
  await distribute(pulp, name, repository);
  return sync;
}

/** Serves a repository under a name. */
export function distribute(
  pulp: Pulp,
  name: string,
  repository: Resource,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Resource> {
  return pulp.admin.change('POST', `${API}/distributions/container/container/`, {
    name,
    base_path: name,
    repository: repository.pulp_href,
    ...more,
  });
}

/** Makes everything below `prefix` a cache of another registry. */
export async function addPullThrough(pulp: Pulp, prefix: string, url: string): Promise<void> {
  const remote = await pulp.admin.change('POST', `${API}/remotes/container/pull-through/`, { name: prefix, url });
  await pulp.admin.change('POST', `${API}/distributions/container/pull-through/`, {
    name: prefix,
    base_path: prefix,
    remote: remote.pulp_href,
  });
}

/** The distribution that has this name. */
export async function distribution(pulp: Pulp, name: string): Promise<Resource> {
  const { results } = (await pulp.admin.read(
    `${API}/distributions/container/container/?base_path=${encodeURIComponent(name)}`,
  )) as {
    results?: readonly Resource[];
  };
  const [found] = results ?? [];
  if (found === undefined) throw new Error(`Pulp has no distribution ${name}`);
  return found;
}

/** Lets nobody read a repository but those that {@link allow} names. */
export async function makePrivate(pulp: Pulp, name: string): Promise<void> {
  await pulp.admin.change('PATCH', (await distribution(pulp, name)).pulp_href, { private: true });
}

/** Makes an account without any right. */
export async function addAccount(pulp: Pulp, account: Account): Promise<void> {
  await pulp.admin.change('POST', `${API}/users/`, account);
}

/** Lets an account read a private repository. */
export async function allow(pulp: Pulp, name: string, { username }: Account): Promise<void> {
  const { pulp_href: href } = await distribution(pulp, name);
  await pulp.admin.change('POST', `${href}add_role/`, {
    users: [username],
    role: 'container.containerdistribution_consumer',
  });
}

/**
 * Lets an account read everything in a namespace: what stands before the first slash of a name. Only then Pulp tells it
 * what is not there.
 */
export async function allowNamespace(pulp: Pulp, namespace: string, { username }: Account): Promise<void> {
  const { results } = (await pulp.admin.read(
    `${API}/pulp_container/namespaces/?name=${encodeURIComponent(namespace)}`,
  )) as {
    results?: readonly Resource[];
  };
  const [found] = results ?? [];
  if (found === undefined) throw new Error(`Pulp has no namespace ${namespace}`);
  await pulp.admin.change('POST', `${found.pulp_href}add_role/`, {
    users: [username],
    role: 'container.containernamespace_consumer',
  });
}

/** Deletes a repository's distribution, as an administrator does: what was made by a push goes with it. */
export async function remove(pulp: Pulp, name: string): Promise<void> {
  await pulp.admin.change('DELETE', (await distribution(pulp, name)).pulp_href);
}

/** Lets an account see all container repositories, and with them which version is the latest. */
export async function allowRepositories(pulp: Pulp, { username }: Account): Promise<void> {
  const { results } = (await pulp.admin.read(`${API}/users/?username=${encodeURIComponent(username)}`)) as {
    results?: readonly Resource[];
  };
  const [found] = results ?? [];
  if (found === undefined) throw new Error(`Pulp has no account ${username}`);
  await pulp.admin.change('POST', `${found.pulp_href}roles/`, {
    role: 'container.containerrepository_viewer',
    content_object: null,
  });
}
