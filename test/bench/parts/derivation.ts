/** How long the one computation takes that grows with the image: schema 1 and its signature. */
import { fileURLToPath } from 'node:url';
import { must } from '../../interop/programs.ts';
import type { Part } from '../bench.ts';
import type { DeriveTimes } from '../derive-time.ts';
import { atMost, digits, shown } from '../section.ts';
import { spreadOf } from '../statistics.ts';

const PROGRAM = fileURLToPath(new URL('../derive-time.ts', import.meta.url));

/** Runs of a process, of which as many as {@link WARM} let V8 compile. */
const RUNS = 40;
const WARM = 20;

const CASES = [
  { which: '100', title: '100 layers' },
  { which: '1000', title: '1,000 layers' },
  { which: 'huge', title: 'the vector 44-huge' },
] as const;

/** Measures the derivation of schema 1. */
export const derivation: Part = async ({ rounds, tell }) => {
  const measured = [];
  for (const { which, title } of CASES) {
    tell(`deriving schema 1: ${title}`);
    const warm: DeriveTimes[] = [];
    const cold: DeriveTimes[] = [];
    for (let at = 0; at < rounds; at++) {
      warm.push(await derive(which, RUNS));
      cold.push(await derive(which, 1));
    }
    measured.push({ title, ...timesOf(warm, cold) });
  }
  const ms = (value: number): string => `${digits(value)} ms`;
  const [small, , large, huge] = measured;
  const linear = (of: 'build' | 'sign'): number => perLayer(large, of) / perLayer(small, of);
  const times = (value: number): string => `${digits(value)} ×`;
  return [
    {
      title: 'Deriving schema 1',
      note:
        'Payload and signature, as `gantry publish` makes them once and docker-registry for every pull of an old client; in processor time of all threads, compiling included. ' +
        `The first time is that of a fresh process; the others are runs ${String(WARM + 1)} to ${String(RUNS)} of one. ` +
        'Linear: microseconds a layer stay the same.',
      columns: [
        'config',
        'config bytes',
        'payload bytes',
        'payload ms',
        'µs a layer',
        'signature ms',
        'both ms',
        'both ms, first time',
      ],
      rows: measured.map(({ title, layers, configBytes, payloadBytes, build, sign, both, first }) => [
        title,
        configBytes.toLocaleString('en-US'),
        payloadBytes.toLocaleString('en-US'),
        shown(spreadOf(build), digits),
        digits((spreadOf(build).median * 1_000) / layers),
        shown(spreadOf(sign), digits),
        shown(spreadOf(both), digits),
        shown(spreadOf(first), digits),
      ]),
      targets:
        huge === undefined
          ? []
          : [
              atMost('44-huge, payload and signature', 25, spreadOf(huge.both), ms),
              atMost('44-huge, the slowest of them', 50, spreadOf(huge.both).high, ms),
              atMost('44-huge, the first time in a process', 50, spreadOf(huge.first), ms),
              atMost('payload, a layer of 1,000 beside one of 100', 1.3, linear('build'), times),
              atMost('signature, a layer of 1,000 beside one of 100', 1.3, linear('sign'), times),
            ],
    },
  ];
};

async function derive(which: string, runs: number): Promise<DeriveTimes> {
  return JSON.parse(await must(process.execPath, ['--no-warnings', PROGRAM, which, String(runs)])) as DeriveTimes;
}

interface Measured {
  readonly layers: number;
  readonly configBytes: number;
  readonly payloadBytes: number;
  readonly build: readonly number[];
  readonly sign: readonly number[];
  readonly both: readonly number[];
  /** Payload and signature in fresh processes. */
  readonly first: readonly number[];
}

function timesOf(warm: readonly DeriveTimes[], cold: readonly DeriveTimes[]): Measured {
  const [one] = warm;
  if (one === undefined) throw new RangeError('nothing was measured');
  const bothOf = ({ build, sign }: DeriveTimes): number[] => build.map((value, at) => value + (sign[at] ?? NaN));
  return {
    ...one,
    build: warm.flatMap(({ build }) => build.slice(WARM)),
    sign: warm.flatMap(({ sign }) => sign.slice(WARM)),
    both: warm.flatMap((times) => bothOf(times).slice(WARM)),
    first: cold.flatMap(bothOf),
  };
}

function perLayer(measured: Measured | undefined, of: 'build' | 'sign'): number {
  return measured === undefined ? NaN : spreadOf(measured[of]).median / measured.layers;
}
