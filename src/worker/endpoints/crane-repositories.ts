import { html } from 'hono/html';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmTable } from '../../registry/realms.ts';

/** The JSON of crane's `/crane/repositories/v2`: whether each repository is protected. */
export type CraneRepositories = Readonly<Record<RepositoryName, { readonly protected: boolean }>>;

/** The repositories in crane's form. `names`: all that the caller may see. */
export function craneRepositories(table: RealmTable, names: readonly RepositoryName[]): CraneRepositories {
  return Object.fromEntries(names.map((name) => [name, { protected: realmOf(table, name) !== PUBLIC_REALM }]));
}

/** The same as an HTML page. */
export async function cranePage(repositories: CraneRepositories): Promise<string> {
  const rows = Object.entries(repositories).map(
    ([name, row]) =>
      html`<tr>
        <td>${name}</td>
        <td>${row.protected ? 'True' : 'False'}</td>
      </tr> `,
  );
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <title>Repositories</title>
      </head>
      <body>
        <h1>Repositories</h1>
        <table>
          <thead>
            <tr>
              <th>Repository id</th>
              <th>Protected</th>
            </tr>
          </thead>
          <tbody>
            ${rows}
          </tbody>
        </table>
      </body>
    </html> `;
  return page.toString();
}

/**
 * Whether the client wants JSON. Crane sends JSON for `application/json` alone; here a list with it and without HTML
 * counts too.
 */
export function wantsJson(accept: string | null): boolean {
  return accept !== null && /application\/json/i.test(accept) && !/text\/html/i.test(accept);
}
