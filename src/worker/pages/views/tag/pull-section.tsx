/* @jsxRuntime automatic @jsxImportSource hono/jsx */
import { type Pulled, pullCommands } from '../../pull-commands.ts';
import { Command } from '../layout.tsx';

/** The commands that pull what the page shows. */
export function PullSection({ pulled }: { readonly pulled: Pulled }) {
  return (
    <section>
      <h2 id="pull" class="first">
        Pull
      </h2>
      <dl class="pull">
        {pullCommands(pulled).map(({ client, command }) => (
          <div>
            <dt>{client}</dt>
            <dd>
              <Command>{command}</Command>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
