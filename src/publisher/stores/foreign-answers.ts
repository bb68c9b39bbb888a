/**
 * Answers that are not storage's: those of a proxy, a captive portal or a load balancer on the way. They are failures
 * that may pass. Taken for storage's, a page of HTML with status 200 is a written object, an existing one, or an empty
 * listing, and with status 404 an absent object.
 */

/** An answer with a status of success that lacks what storage answers. The request may be repeated. */
export class ForeignAnswerError extends Error {
  override readonly name = 'ForeignAnswerError';
  readonly status: number;

  constructor(what: string, status: number) {
    super(`the answer is not from storage: ${what}`);
    this.status = status;
  }
}

/**
 * Whether a 404 comes from something else than storage: storage's has an error code or, as an answer to HEAD, which has
 * no body, is no text (servers send `application/xml`, or no type).
 */
export function isForeignAbsence(code: string | undefined, contentType: string | undefined): boolean {
  return code === undefined && contentType !== undefined && /^text\/(?!xml)/i.test(contentType);
}
