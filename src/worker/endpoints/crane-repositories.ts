import { html } from 'hono/html';
import type { RepositoryName } from '../../registry/name.ts';
import { PUBLIC_REALM, realmOf, type RealmTable } from '../../registry/realms.ts';

/** What crane's `/crane/repositories/v2` says of each repository. */
export type CraneRepositories = Readonly<Record<RepositoryName, { readonly protected: boolean }>>;

/** The repositories as crane lists them. `names`: all that the caller may see. */
export function craneRepositories(table: RealmTable, names: readonly RepositoryName[]): CraneRepositories {
  return Object.fromEntries(names.map((name) => [name, { protected: realmOf(table, name) !== PUBLIC_REALM }]));
}

/** The same as a page for people. */
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

/** Whether JSON is wanted: crane looks for `application/json` alone; a list that has it and not HTML is as clear. */
export function wantsJson(accept: string | null): boolean {
  return accept !== null && /application\/json/i.test(accept) && !/text\/html/i.test(accept);
}
