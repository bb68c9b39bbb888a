/** The second Worker's entrypoints. Only the first Worker reaches them: no route leads here. */
import { WorkerEntrypoint } from 'cloudflare:workers';
import { annexConfigOf, fill, page } from './annex-app.ts';
import type { AnnexEntrypoint, FillProps, PageProps } from './annex-port.ts';

/** What the annex is bound to; everything else comes with the calls. */
interface AnnexEnv {
  readonly BUCKET: R2Bucket;
}

/** What the first Worker calls. */
export class Annex extends WorkerEntrypoint<AnnexEnv> implements AnnexEntrypoint {
  async fill(request: Request, settings: string, props: FillProps): Promise<Response> {
    return fill(request, annexConfigOf(this.env.BUCKET, settings), props, (work) => this.ctx.waitUntil(work));
  }

  async page(request: Request, settings: string, props: PageProps): Promise<Response> {
    return page(request, annexConfigOf(this.env.BUCKET, settings), props, this.ctx);
  }
}

/** Nothing is answered to anybody else. */
export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;
