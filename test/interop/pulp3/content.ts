/** What an administrator puts into Pulp: pushed images, synced repositories, a pull-through cache, private repositories and who may read them. */
import { must } from '../programs.ts';
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
  await must('skopeo', [
    ...['copy', '--quiet', '--all', '--preserve-digests', '--dest-tls-verify=false', '--dest-creds', credentials],
    ...[source, `docker://${pulp.host}/${image}`],
  ]);
}

/** Makes a repository that mirrors one of another registry, syncs it and distributes it under `name`. Gives what syncs it again. */
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
  const sync = async (): Promise<void> => void (await admin.change('POST', `${repository.pulp_href}sync/`, { remote: remote.pulp_href, mirror: true }));
  await sync();
  await distribute(pulp, name, repository);
  return sync;
}

/** Serves a repository under a name. */
export function distribute(pulp: Pulp, name: string, repository: Resource, more: Readonly<Record<string, unknown>> = {}): Promise<Resource> {
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
  await pulp.admin.change('POST', `${API}/distributions/container/pull-through/`, { name: prefix, base_path: prefix, remote: remote.pulp_href });
}

/** The distribution that has this name. */
export async function distribution(pulp: Pulp, name: string): Promise<Resource> {
  const { results } = (await pulp.admin.read(`${API}/distributions/container/container/?base_path=${encodeURIComponent(name)}`)) as {
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
  await pulp.admin.change('POST', `${href}add_role/`, { users: [username], role: 'container.containerdistribution_consumer' });
}

/** Deletes a repository's distribution, as an administrator does: what was made by a push goes with it. */
export async function remove(pulp: Pulp, name: string): Promise<void> {
  await pulp.admin.change('DELETE', (await distribution(pulp, name)).pulp_href);
}
