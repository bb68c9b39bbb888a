import type { EdgeHandler } from '../gateway/edge-context.ts';
import { browse } from './pages.ts';

/** `/r/<name>:<tag>.tar`. Its code is imported with the first request: pulls do not need it. */
export const archive: EdgeHandler = async (c) =>
  // With a percent-encoded dot it is the page of a tag that ends in `.tar`.
  new URL(c.req.url).pathname.endsWith('.tar')
    ? (await import('../archive/answer-archive.ts')).answerArchive(c)
    : browse(c);
