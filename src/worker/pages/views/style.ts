import { SCRIPT } from './script.ts';

/** The style sheet of all pages. Each page contains it, and the Content-Security-Policy allows it by its hash. */

/** Colours by meaning. Text on them has a contrast of at least 4.5 in both themes (WCAG 2.2, 1.4.3). */
export const STYLE = `
:root{color-scheme:light dark;
--paper:light-dark(#fbfaf7,#11151b);--card:light-dark(#fff,#181e26);--ink:light-dark(#1a2027,#e6e9ed);--quiet:light-dark(#535d68,#a0abb7);
--line:light-dark(#e0ddd5,#2b343f);--accent:light-dark(#a83a12,#ff9a6b);--field:light-dark(#fff,#10151b);--code:light-dark(#f3f0e9,#0d1116);
--good:light-dark(#0b6b3a,#6fd79b);--good-bg:light-dark(#e2f3e8,#12311f);--made:light-dark(#1d4fa0,#8fbcff);--made-bg:light-dark(#e6eefb,#15263f);
--none:light-dark(#5d5348,#b5a999);
--shadow:0 1px 2px light-dark(#1a202714,#0006),0 4px 16px light-dark(#1a20270a,#0003)}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;min-height:100vh;display:flex;flex-direction:column}
a{color:var(--accent);text-underline-offset:.2em;text-decoration-thickness:1px}
a:hover{text-decoration-thickness:2px}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
code,pre,kbd,.mono{font-family:ui-monospace,"SF Mono",SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.875em}
code{background:var(--code);padding:.1em .35em;border-radius:4px;overflow-wrap:anywhere}
.skip{position:absolute;left:-999px;top:8px;background:var(--card);padding:8px 16px;z-index:1}
.skip:focus{left:16px}
.bar{border-bottom:1px solid var(--line);background:var(--card)}
.bar>div,main,footer>div{width:100%;max-width:1120px;margin:0 auto;padding-inline:clamp(16px,4vw,32px)}
.bar>div{display:flex;align-items:center;gap:8px 24px;flex-wrap:wrap;padding-block:12px}
.brand{display:inline-flex;align-items:center;gap:10px;font-weight:700;font-size:1.1rem;letter-spacing:-.01em;color:var(--ink);text-decoration:none}
.brand svg{color:var(--accent);flex:none}
.bar .host{color:var(--quiet);font-size:.875rem;overflow-wrap:anywhere}
.bar nav{margin-inline-start:auto;display:flex;gap:20px}
.bar nav a{color:var(--ink);text-decoration:none;padding-block:4px}
.bar nav a:hover,.bar nav a[aria-current]{text-decoration:underline;text-decoration-color:var(--accent);text-decoration-thickness:2px}
main{flex:1;padding-block:clamp(20px,4vw,40px) 64px}
footer{border-top:1px solid var(--line);color:var(--quiet);font-size:.875rem}
footer>div{padding-block:20px}
footer a{color:inherit}
h1{font-size:clamp(1.5rem,1.1rem + 1.8vw,2.125rem);line-height:1.2;letter-spacing:-.02em;margin:0 0 8px;overflow-wrap:anywhere;text-wrap:balance}
h2{font-size:1.2rem;letter-spacing:-.01em;margin:44px 0 14px}
h2.first{margin-top:0}
h3{font-size:1rem;margin:24px 0 8px}
p{margin:0 0 14px;max-width:72ch;overflow-wrap:anywhere}
.lead{color:var(--quiet);margin-bottom:24px}
.quiet{color:var(--quiet)}
.crumbs{font-size:.875rem;margin-bottom:10px;color:var(--quiet);overflow-wrap:anywhere}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.search{display:flex;flex-wrap:wrap;gap:8px;margin:0 0 20px;max-width:640px}
.search input{flex:1 1 12em}
.search select{flex:0 1 13em;width:auto}
input,select,textarea,button{font:inherit;color:inherit}
input,select,textarea{background:var(--field);border:1px solid light-dark(#8b8a84,#66727f);border-radius:8px;padding:9px 12px;width:100%;min-width:0}
button{background:var(--accent);color:light-dark(#fff,#1a1009);border:0;border-radius:8px;padding:9px 20px;font-weight:600;cursor:pointer;white-space:nowrap}
button:hover{filter:brightness(1.08)}
.repos{list-style:none;margin:0;padding:0;display:grid;gap:10px;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr))}
.repos>li{position:relative;display:flex;flex-wrap:wrap;align-items:center;align-content:start;gap:4px 12px;padding:14px 16px;background:var(--card);border:1px solid var(--line);border-radius:10px;box-shadow:var(--shadow);overflow-wrap:anywhere}
.repos>li:hover{border-color:var(--accent)}
.repos .name{flex:1;color:var(--ink);text-decoration:none}
.repos .name::after{content:"";position:absolute;inset:0;border-radius:10px}
.repos .name b{font-weight:650}
.repos .facts{flex-basis:100%;color:var(--quiet);font-size:.875rem}
.matching{position:relative;list-style:none;margin:2px 0 0;padding:0;display:flex;flex-wrap:wrap;gap:4px 12px;font-size:.875rem;flex-basis:100%}
.chip{font-size:.75rem;line-height:1.4;padding:2px 8px;border-radius:99px;border:1px solid var(--line);color:var(--quiet);white-space:nowrap}
.tags{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow)}
.tags>li{display:grid;gap:4px 20px;grid-template-columns:minmax(0,1fr);padding:14px 18px}
.tags>li+li{border-top:1px solid var(--line)}
.tags .tag{font-weight:650;overflow-wrap:anywhere}
.tags .facts{color:var(--quiet);font-size:.875rem;display:flex;flex-wrap:wrap;gap:2px 14px}
@media (min-width:820px){.tags>li{grid-template-columns:minmax(0,2fr) minmax(0,3fr);align-items:center}.tags .badges{grid-column:2;grid-row:1/3;justify-content:end}}
.badges{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:6px}
.badge{position:relative;font-weight:400;display:inline-flex;align-items:center;gap:6px;font-size:.8125rem;line-height:1.3;padding:3px 10px;border-radius:99px;border:1px solid transparent;white-space:nowrap;text-decoration:none}
.badge.published{background:var(--good-bg);color:var(--good)}
.badge.derived{background:var(--made-bg);color:var(--made)}
.badge.missing{border:1px dashed currentColor;color:var(--none)}
a.badge:hover{text-decoration:underline}
.legend{display:flex;flex-wrap:wrap;gap:8px 16px;font-size:.875rem;color:var(--quiet);margin:0 0 16px;padding:0;list-style:none;align-items:center}
.legend li{display:flex;gap:8px;align-items:center}
.scroll{position:relative;overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow)}
table{border-collapse:collapse;width:100%;font-size:.9375rem}
caption{text-align:start}
th,td{text-align:start;padding:10px 16px;vertical-align:top;border-bottom:1px solid var(--line)}
tbody tr:last-child>*{border-bottom:0}
thead th{font-size:.8125rem;color:var(--quiet);font-weight:600;white-space:nowrap}
tbody th{font-weight:600}
tbody th a{font-weight:500}
.num{text-align:end;font-variant-numeric:tabular-nums;white-space:nowrap}
.digest{font-size:.8125rem;overflow-wrap:anywhere;background:none;padding:0}
.pull{display:grid;gap:10px;margin:0}
.pull>div{display:grid;grid-template-columns:minmax(0,1fr);gap:2px}
.pull dt{font-size:.8125rem;font-weight:600;color:var(--quiet)}
.pull dd{margin:0}
.command{display:block;margin:0;padding:10px 14px;background:var(--code);border:1px solid var(--line);border-radius:8px;overflow-wrap:anywhere;white-space:pre-wrap;user-select:all}
.copyable{display:flex;align-items:flex-start;gap:8px;position:relative}
.copyable .command{flex:1;min-width:0}
.copy{background:var(--card);color:var(--ink);border:1px solid light-dark(#8b8a84,#66727f);padding:8px 12px;font-size:.875rem;font-weight:500;min-width:5.2em}
@media (min-width:640px){.pull>div{grid-template-columns:6em minmax(0,1fr);align-items:baseline}}
.pills ul,.tabs ul{list-style:none;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:8px}
.pills{margin:0 0 20px}
.pills a{display:block;padding:5px 12px;border:1px solid light-dark(#8b8a84,#66727f);border-radius:99px;color:var(--ink);text-decoration:none;font-size:.875rem;overflow-wrap:anywhere}
.pills a:hover{border-color:var(--accent)}
.pills a[aria-current]{background:var(--accent);border-color:var(--accent);color:light-dark(#fff,#1a1009);font-weight:600}
.tabs{border-bottom:1px solid var(--line);margin:0 0 24px}
.tabs ul{gap:4px 20px}
.tabs a{display:block;padding:8px 0;color:var(--quiet);text-decoration:none;border-bottom:3px solid transparent;margin-bottom:-1px}
.tabs a:hover{color:var(--ink)}
.tabs a[aria-current]{color:var(--ink);font-weight:600;border-color:var(--accent)}
.forms{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow)}
.forms>li+li{border-top:1px solid var(--line)}
.forms summary{display:flex;flex-wrap:wrap;align-items:center;gap:6px 14px;padding:11px 18px;cursor:pointer}
.forms summary::before{content:"▸";color:var(--quiet);font-size:.8125rem}
.forms details[open] summary::before{content:"▾"}
.forms summary::-webkit-details-marker{display:none}
.forms .platform{font-weight:600;flex:1 1 auto;min-width:7em;overflow-wrap:anywhere}
@media (min-width:640px){.forms .platform{flex:0 0 13em}}
.forms .why{color:var(--quiet);font-size:.875rem}
.forms dl{margin:0;padding:4px 18px 14px 36px;display:grid;gap:10px;font-size:.9375rem}
.forms dt{font-weight:600}
.forms dd{margin:0;overflow-wrap:anywhere}
.fold{background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow);margin-top:16px}
.fold>summary{padding:12px 18px;cursor:pointer;font-weight:600}
.fold>*:not(summary){margin-inline:18px}
.fold>*:last-child{margin-bottom:18px}
.fold>summary h2{display:inline;margin:0}
.rows{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow)}
.rows>li{padding:14px 18px;display:grid;gap:4px;overflow-wrap:anywhere}
.rows>li+li{border-top:1px solid var(--line)}
.rows p{margin:0}
.inline{display:flex;gap:8px;flex-wrap:wrap;max-width:640px;margin-bottom:24px}
.inline input{flex:1 1 12em}
.new{color:var(--good)}.gone{color:var(--none)}
@media (max-width:639px){
table.narrow,table.narrow tbody,table.narrow tr,table.narrow td,table.narrow th{display:block}
table.narrow thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
table.narrow tr{padding:10px 16px;border-bottom:1px solid var(--line)}
table.narrow tbody tr:last-child{border-bottom:0}
table.narrow td,table.narrow th{border:0;padding:1px 0}}
.facts-list{display:grid;grid-template-columns:minmax(0,1fr);gap:2px 24px;margin:0}
.facts-list dt{color:var(--quiet);font-size:.875rem;overflow-wrap:anywhere}
.facts-list dd{margin:0 0 10px;overflow-wrap:anywhere;white-space:pre-wrap}
@media (min-width:640px){.facts-list{grid-template-columns:max-content minmax(0,1fr);gap:8px 24px}.facts-list dt{max-width:28ch;overflow-wrap:anywhere}.facts-list dd{margin:0}}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow);padding:18px 20px}
.stack{display:block;width:100%;height:28px;border-radius:8px;margin:0 0 16px}
.c0{fill:#d9622b}.c1{fill:#2f7dd1}.c2{fill:#2a9d6f}.c3{fill:#b8860b}.c4{fill:#8e5bd0}.c5{fill:#c9487f}.c6{fill:#26939b}.c7{fill:#7a8794}
.swatch{width:14px;height:14px;border-radius:4px;display:inline-block;vertical-align:-2px}
.history{list-style:none;margin:0;padding:0;background:var(--card);border:1px solid var(--line);border-radius:12px;box-shadow:var(--shadow)}
.history>li{display:grid;grid-template-columns:22px minmax(0,1fr);gap:2px 10px;padding:11px 18px}
.history>li+li{border-top:1px solid var(--line)}
.history>li>*{grid-column:2;overflow-wrap:anywhere}
.history>li>.mark{grid-column:1;grid-row:1;padding-top:1px}
.history pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;max-height:14em;overflow-y:auto}
.history .quiet{font-size:.8125rem}
.history .digest,.rows .digest{color:inherit;justify-self:start}
.ask{display:grid;gap:12px;margin-bottom:16px}
.ask textarea{font-weight:400}
@media (max-width:479px){.bar .host{display:none}}
.ask label{font-size:.875rem;font-weight:600;display:grid;gap:4px}
@media (min-width:820px){.ask{grid-template-columns:1fr 1fr}.ask .wide{grid-column:1/3}}
.answer{border-inline-start:4px solid var(--accent);padding:12px 18px;background:var(--card);border-radius:4px 12px 12px 4px;box-shadow:var(--shadow);margin-bottom:16px}
.answer p:last-child{margin-bottom:0}
.next{margin:0 0 20px;padding-inline-start:1.2em}
.next a{font-weight:600}
.pages{display:flex;gap:12px 24px;flex-wrap:wrap;margin-top:20px}
.empty{padding:28px;border:1px dashed light-dark(#b9b5aa,#4a5663);border-radius:12px;background:var(--card)}
.status{font-size:.875rem;font-weight:600;color:var(--accent);letter-spacing:.02em;margin-bottom:6px}
.reasons{margin:0;padding:0;list-style:none;display:grid;gap:10px;grid-template-columns:repeat(auto-fill,minmax(min(100%,320px),1fr))}
.reasons li{background:var(--card);border:1px solid var(--line);border-radius:10px;box-shadow:var(--shadow);padding:14px 18px}
.reasons a{display:block;font-weight:600;margin-bottom:4px}
.reasons span{font-size:.875rem}
@media (prefers-reduced-motion:no-preference){a,button{transition:border-color .12s,filter .12s}}
@media (forced-colors:active){.badge{border-color:currentColor}}
@media print{.bar nav,.search,form{display:none}}
`.replace(/\n/g, '');

let policy: Promise<string> | undefined;

/**
 * The value of `Content-Security-Policy` (CSP level 3): nothing but this style sheet, the script, the icon, and forms to
 * this host.
 */
export function contentSecurityPolicy(): Promise<string> {
  policy ??= Promise.all([hashOf(STYLE), hashOf(SCRIPT)]).then(
    ([style, script]) =>
      `default-src 'none'; style-src 'sha256-${style}'; script-src 'sha256-${script}'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  );
  return policy;
}

async function hashOf(text: string): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)));
  return btoa(String.fromCharCode(...hash));
}
