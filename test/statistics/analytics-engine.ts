/**
 * A stand-in for Analytics Engine: it takes data points as the binding does, enforces the documented limits, and answers
 * the SQL API on loopback. Sources: Cloudflare's documentation, "Workers Analytics Engine · Limits", "SQL API" and "SQL
 * reference" (November 2026).
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { openLocalEvents } from '../../src/publisher/statistics/local-events.ts';
import type { DataPoint } from '../../src/statistics/pull-event.ts';

/** A running SQL API over a dataset. */
export interface SqlApi {
  readonly url: string;
  readonly token: string;
  readonly account: string;
  /** The SQL of each request. */
  readonly queries: string[];
  /** Adds a row that stands for so many data points. */
  add(point: DataPoint, time: Date, sampleInterval: number): void;
  close(): Promise<void>;
}

/** Functions and clauses that the SQL reference has, among those that a query of ours may use. */
const DOCUMENTED = new Set(['SUM', 'toDateTime', 'formatDateTime']);

/** Starts the API over an empty dataset. */
export async function startSqlApi(file: string): Promise<SqlApi> {
  const token = 'a-token-that-may-read-analytics';
  const account = '0123456789abcdef0123456789abcdef';
  const events = openLocalEvents(file);
  const queries: string[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const sql = await text(request);
      const answer = (status: number, body: string): void => void response.writeHead(status).end(body);
      if (request.url !== `/accounts/${account}/analytics_engine/sql` || request.method !== 'POST') {
        answer(404, 'not found');
        return;
      }
      if (request.headers.authorization !== `Bearer ${token}`) {
        answer(403, 'Authentication error');
        return;
      }
      queries.push(sql);
      const unknown = [...sql.matchAll(/\b(\w+)\(/g)].flatMap(([, name = '']) => (DOCUMENTED.has(name) ? [] : [name]));
      if (unknown.length > 0) {
        answer(422, `unknown function ${unknown.join(', ')}`);
        return;
      }
      try {
        // 64-bit integers are text, as ClickHouse writes them.
        const { data } = events.query(sql) as { data: Record<string, unknown>[] };
        answer(
          200,
          JSON.stringify({
            meta: [],
            data: data.map((row) => ({ ...row, pulls: String(row.pulls) })),
            rows: data.length,
          }),
        );
      } catch (error) {
        answer(422, String(error));
      }
    })();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    token,
    account,
    queries,
    add: (point, time, sampleInterval) => events.writeAt(point, time, sampleInterval),
    close: async () => {
      server.close();
      await once(server, 'close');
      events.close();
    },
  };
}
