import { describe, expect, it } from 'vitest';
import {
  assertNever,
  errorBody,
  helpPath,
  isReason,
  REASONS,
  reasonRow,
  type Reason,
} from '../../src/registry/errors.ts';
import { helpOf } from '../../src/registry/help.ts';

const reasons = Object.keys(REASONS) as Reason[];

describe('the reason table', () => {
  it.each(reasons)('%s is told as an OCI error envelope with its reason and help page in each entry', (reason) => {
    const { errors } = JSON.parse(errorBody(reason, { origin: 'https://r.example', detail: { available: ['x'] } })) as {
      errors: unknown[];
    };
    const row = reasonRow(reason);
    expect(errors).toEqual(
      row.codes.map((code, index) => ({
        code,
        // Docker 1.8 and 1.9 print the messages of all entries: the reason once, and the link.
        message: index === 0 ? row.message : `See https://r.example${helpPath(reason)}`,
        detail: { reason, available: ['x'], help: `https://r.example${helpPath(reason)}` },
      })),
    );
  });

  it.each(reasons.filter((reason) => reason.startsWith('schema1-')))(
    '%s says UNSUPPORTED first: Docker 1.8.3 and 1.9 hide what follows MANIFEST_UNKNOWN',
    (reason) => {
      expect(reasonRow(reason)).toMatchObject({ status: 404, codes: ['UNSUPPORTED', 'MANIFEST_UNKNOWN'] });
    },
  );

  it.each(reasons)('%s: a failure to find out is never a 404, and is never kept', (reason) => {
    const { status, caching } = reasonRow(reason);
    if (reason.endsWith('-unavailable')) expect(status).toBe(503);
    if (caching === 'miss') expect(status).toBe(404);
  });

  it.each(reasons)('%s has one sentence and a page', (reason) => {
    const { message } = reasonRow(reason);
    expect(message).toMatch(/^[A-Z].*\.$/);
    expect(message).not.toContain('\n');
    expect(helpOf(reason).paragraphs.every((paragraph) => /[.:)]$/.test(paragraph))).toBe(true);
  });

  it('knows its own reasons and no inherited names', () => {
    expect(reasons.every(isReason)).toBe(true);
    expect(['', 'toString', 'constructor', 'schema1'].some(isReason)).toBe(false);
  });

  it('fails loudly on a value outside a union that was handled whole', () => {
    expect(() => assertNever('x' as never)).toThrow(/"x"/);
  });
});
