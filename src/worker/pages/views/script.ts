/**
 * The script of all pages: it adds a copy button to each command. Pages work without it. The
 * Content-Security-Policy allows it by its hash. Browsers give the clipboard to secure contexts alone, so that without
 * HTTPS there is no button.
 */
export const SCRIPT = `
if(navigator.clipboard)for(const command of document.querySelectorAll('.command')){
const button=document.createElement('button');
button.type='button';button.className='copy';button.textContent='Copy';
button.setAttribute('aria-label','Copy: '+command.textContent);
const told=document.createElement('span');told.className='hidden';told.setAttribute('aria-live','polite');
button.addEventListener('click',()=>navigator.clipboard.writeText(command.textContent).then(()=>{
button.textContent='Copied';told.textContent='Copied';setTimeout(()=>{button.textContent='Copy';told.textContent=''},2000)},()=>{button.textContent='Select it'}));
command.parentElement.append(button,told)}
`.replace(/\n/g, '');
