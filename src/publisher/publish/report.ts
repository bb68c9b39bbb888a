/** The result of a publish as text. */
import { reasonRow } from '../../registry/errors.ts';
import { FORM_TITLE } from '../../registry/media-type.ts';
import { formatPlatform, type Platform } from '../../registry/platform.ts';
import type { PullAddress } from '../cli/pull-address.ts';
import type { PublishResult } from './request.ts';
import { formatBytes } from '../../registry/values/byte-size.ts';
import { formatCount, paint, tableLines } from '../cli/terminal-text.ts';

const CHANGES = {
  new: { done: 'published', planned: 'would be published' },
  moved: { done: 'moved', planned: 'would be moved' },
  unchanged: { done: 'unchanged', planned: 'unchanged' },
} as const satisfies Record<PublishResult['change'], { done: string; planned: string }>;

const WHY_DROPPED = {
  'same-form': 'replaced',
  'other-image': 'of another image',
  replace: 'by --replace',
} as const satisfies Record<PublishResult['dropped'][number]['why'], string>;

/** The report, in lines that fit the terminal. `where`: the title of the bucket; `pull`: where clients pull from. */
export function publishLines(result: PublishResult, where: string, pull: PullAddress | null): string[] {
  const { name, tag, change, dryRun, forms, missing, kept, dropped, blobs, manifests, referrers } = result;
  const keptDigests = new Set(kept.map(({ digest }) => digest));
  const rows = [
    ...forms.map(({ form, platform, digest, source }) => [
      source.kind === 'published' ? paint('good', keptDigests.has(digest) ? 'kept' : 'published') : 'derived',
      titleOf(form, platform),
      source.kind === 'published' ? digest : `${digest} from ${shortDigest(source.from)}`,
    ]),
    ...missing.map(({ form, platform, reason, explanation }) => [
      paint('doubtful', 'missing'),
      titleOf(form, platform),
      explanation === '' ? reasonRow(reason).message : `${explanation} (${reason})`,
    ]),
    ...dropped.map(({ form, digest, why }) => [
      paint('quiet', 'gone'),
      titleOf(form, undefined),
      `${digest} (${WHY_DROPPED[why]})`,
    ]),
  ];
  const sent = `${formatCount(blobs.sent, 'blob')} ${dryRun ? 'to send' : 'sent'} (${formatBytes(blobs.sentBytes)})`;
  const there = `${String(blobs.present)} of ${String(blobs.total)} already stored`;
  const along = referrers === 0 ? '' : `; with ${formatCount(referrers, 'referrer')}`;
  return [
    `${paint('strong', `${name}:${tag}`)}  ${CHANGES[change][dryRun ? 'planned' : 'done']} · ${where}`,
    ...tableLines(rows),
    paint('quiet', `${sent}, ${there}; ${formatCount(manifests.total, 'manifest')}${along}`),
    ...(pull === null
      ? []
      : [
          `pull it with: docker pull ${pull.host}/${name}:${tag}${pull.needsServe ? '  (while `gantry serve` runs)' : ''}`,
        ]),
  ];
}

function titleOf(form: PublishResult['forms'][number]['form'], platform: Platform | undefined): string {
  return platform === undefined ? FORM_TITLE[form] : `${FORM_TITLE[form]} ${formatPlatform(platform)}`;
}

/** The first twelve hexadecimal digits of a digest. */
export function shortDigest(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1).slice(0, 12);
}
