/** The proof of a deployment as text and as JSON. */
import { checkLines, reportedChecks } from '../doctor/deployed/report.ts';
import { diagnosisLines, groupFindings } from '../doctor/report.ts';
import type { Proof } from './after-deployment.ts';

/** For `--json`: what `doctor --deployed --json` prints, and the verdict. */
export function proofJson({ diagnosis, checks, verdict }: Proof): object {
  return { verdict, ...diagnosis, findings: groupFindings(diagnosis.findings), deployed: reportedChecks(checks) };
}

/** What `doctor --deployed` prints, and the verdict, in lines of at most `width` characters. */
export function proofLines({ diagnosis, checks, verdict }: Proof, width: number): readonly string[] {
  return ['', ...diagnosisLines(diagnosis, width), '', ...checkLines(checks, width), '', SAYS[verdict]];
}

const SAYS = {
  proved: '✓ deployed, and nothing is wrong with it',
  incomplete:
    '! deployed, but not examined: once DNS, certificate and an image are there, run `gantry doctor URL --deployed`',
  faulty: '✗ deployed, but something is wrong with it: see above',
} as const satisfies Record<Proof['verdict'], string>;
