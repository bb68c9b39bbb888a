/** What an administrator does with Pulp's REST API. */

/** What the API answers for a resource: its address, and what it is. */
export type Resource = Readonly<Record<string, unknown>> & { readonly pulp_href: string };

/** The REST API with somebody's credentials. */
export interface Administrator {
  /** GET; rejects on anything but success. */
  read(path: string): Promise<Readonly<Record<string, unknown>>>;
  /**
   * POST, PATCH, PUT or DELETE; waits for the task that it starts, if any, and gives the resource or the first one that
   * the task made.
   */
  change(method: 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Resource>;
}

/** Paths of the API. */
export const API = '/pulp/api/v3';

/** Seconds that a task may take. */
const TASK_TIMEOUT = 60;

/** Makes one. `path` of its calls is below the host or whole. */
export function createAdministrator(
  url: string,
  { username, password }: { readonly username: string; readonly password: string },
): Administrator {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const ask = async (method: string, path: string, body?: unknown): Promise<Readonly<Record<string, unknown>>> => {
    const answer = await fetch(new URL(path, url), {
      method,
      headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${String(answer.status)} ${text}`);
    return text === '' ? {} : (JSON.parse(text) as Readonly<Record<string, unknown>>);
  };
  const finished = async (task: string): Promise<Readonly<Record<string, unknown>>> => {
    const end = Date.now() + TASK_TIMEOUT * 1000;
    for (;;) {
      const now = await ask('GET', task);
      if (now.state === 'completed') return now;
      if (now.state === 'failed' || now.state === 'canceled')
        throw new Error(`the task ${task} ${now.state}: ${JSON.stringify(now.error)}`);
      if (Date.now() > end) throw new Error(`the task ${task} is ${String(now.state)} after ${String(TASK_TIMEOUT)} s`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  return {
    read: (path) => ask('GET', path),
    change: async (method, path, body) => {
      const answer = await ask(method, path, body);
      if (typeof answer.task !== 'string') return answer as Resource;
      const { created_resources: created } = await finished(answer.task);
      const [href] = (created as readonly string[] | undefined) ?? [];
      return href === undefined ? { pulp_href: '' } : ((await ask('GET', href)) as Resource);
    },
  };
}
