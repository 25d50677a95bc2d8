function G({data:a,size:o,crc:s}){let t;try{t=typeof a=="string"?ee(a):new Uint8Array(a)}catch{throw new Error("the file is damaged: it is no base64")}if(t.length!==o)throw new Error(`the file is cut short: ${t.length} of ${o} bytes came`);if(re(t)!==s)throw new Error("the file is damaged: its checksum differs");return t}function ee(a){let o=atob(a),s=new Uint8Array(o.length);for(let t=0;t<o.length;t++)s[t]=o.charCodeAt(t);return s}var te=Uint32Array.from({length:256},(a,o)=>{for(let s=0;s<8;s++)o=o&1?o>>>1^3988292384:o>>>1;return o>>>0});function re(a){let o=-1;for(let s=0;s<a.length;s++)o=o>>>8^te[(o^a[s])&255];return~o>>>0}function H(a,o){return new Promise((s,t)=>{let m=(n,k)=>{if(n?.asset!==o)return;if(a.off("msg:custom",m),n.error)return t(new Error(n.error));let g=k?.[0],v=g?.buffer?g.buffer.slice(g.byteOffset,g.byteOffset+g.byteLength):g;s({data:n.base64??v,size:n.size,crc:n.crc})};a.on("msg:custom",m),a.send({want:o})})}var _=`:host {
  all: initial;
  display: block;
}

.figure {
  --ink: var(--pst-color-text-base, var(--jp-ui-font-color0, light-dark(#1f2329, #d9dde2)));
  --muted: var(--pst-color-text-muted, var(--jp-ui-font-color1, light-dark(#545d68, #a3abb5)));
  --line: var(--pst-color-border, var(--jp-border-color1, light-dark(#dcdfe3, #363c44)));
  --ground: var(--pst-color-background, var(--jp-layout-color0, light-dark(#fff, #15181c)));
  --surface: var(--pst-color-surface, var(--jp-layout-color1, light-dark(#f6f7f8, #1d2126)));
  --link: var(--pst-color-link, var(--jp-brand-color1, light-dark(#00598f, #7cc0f2)));
  --blue: var(--lc-blue, light-dark(#0068a8, #5cb0ea));
  --orange: var(--lc-orange, light-dark(#b84d00, #ff9a4f));
  --green: var(--lc-green, light-dark(#00785a, #3ecb9f));
  --grey: var(--lc-grey, light-dark(#5d6772, #a5afba));
  background: var(--ground);
  border: 1px solid var(--line);
  border-radius: 0.4rem;
  box-sizing: border-box;
  color: var(--ink);
  container-type: inline-size;
  font: 400 15px/1.45 var(--course-sans, system-ui, "Noto Sans CJK SC", sans-serif);
  font-variant-numeric: tabular-nums lining-nums;
  padding: 1rem 1.1rem 0.9rem;
}

*,
*::before {
  box-sizing: border-box;
}

p,
fieldset,
legend,
table {
  border: 0;
  margin: 0;
  padding: 0;
}

.hidden {
  clip-path: inset(50%);
  height: 1px;
  overflow: hidden;
  position: absolute;
  white-space: nowrap;
  width: 1px;
}

[hidden] {
  display: none !important;
}

.muted {
  color: var(--muted);
}

.small {
  font-size: 13.5px;
}

.number {
  font-variant-numeric: tabular-nums;
}

.row {
  align-items: center;
  display: flex;
  flex-wrap: wrap;
  gap: 0.55rem 0.7rem;
}

.spread {
  justify-content: space-between;
}

.stack {
  display: grid;
  gap: 0.85rem;
  grid-template-columns: minmax(0, 1fr);
}

.title {
  font-size: 13.5px;
  font-weight: 650;
}

button,
input,
textarea,
select {
  accent-color: var(--blue);
  color: inherit;
  font: inherit;
}

button,
.field,
textarea {
  background: var(--ground);
  border: 1px solid var(--muted);
  border-radius: 0.3rem;
  min-height: 2.2rem;
  padding: 0.2rem 0.75rem;
}

textarea {
  display: block;
  line-height: 1.5;
  padding: 0.45rem 0.7rem;
  resize: vertical;
  width: 100%;
}

.field {
  min-width: 0;
  width: 100%;
}

button {
  cursor: pointer;
}

button:hover:not(:disabled) {
  border-color: var(--link);
  color: var(--link);
}

button.main {
  background: var(--ink);
  border-color: var(--ink);
  color: var(--ground);
  font-weight: 600;
}

button.main:hover:not(:disabled) {
  background: var(--link);
  border-color: var(--link);
  color: var(--ground);
}

button:disabled {
  border-color: var(--line);
  color: var(--muted);
  cursor: default;
}

button.main:disabled {
  background: var(--surface);
}

:focus-visible {
  outline: 2px solid var(--link);
  outline-offset: 2px;
}

.choose {
  border: 1px solid var(--muted);
  border-radius: 0.3rem;
  display: inline-flex;
  overflow: hidden;
}

.choose label {
  cursor: pointer;
  position: relative;
}

.choose input {
  cursor: pointer;
  inset: 0;
  margin: 0;
  opacity: 0;
  position: absolute;
}

.choose span {
  display: block;
  padding: 0.3rem 0.8rem;
}

.choose input:checked + span {
  background: var(--ink);
  color: var(--ground);
}

.choose input:focus-visible + span {
  outline: 2px solid var(--link);
  outline-offset: -4px;
}

.slider {
  align-items: baseline;
  display: grid;
  flex: 1 1 9rem;
  font-size: 13.5px;
  gap: 0 0.5rem;
  grid-template-columns: auto 1fr;
  min-width: 0;
}

.slider .value {
  color: var(--muted);
  text-align: right;
}

.slider input {
  grid-column: 1 / -1;
  height: 1.5rem;
  margin: 0;
  min-width: 0;
  width: 100%;
}

/* Pieces of a text. */
.pieces {
  line-height: 2;
  overflow-wrap: anywhere;
}

.piece {
  background: var(--surface);
  border: 0;
  border-bottom: 2px solid var(--line);
  border-radius: 0.2rem;
  display: inline;
  line-height: 1.35;
  margin: 0 1px;
  min-height: 0;
  padding: 0.1rem 0.12rem;
  white-space: pre-wrap;
}

button.piece:hover {
  color: var(--link);
}

.piece.hex {
  color: var(--muted);
  font: 0.8em var(--course-mono, ui-monospace, monospace);
  padding: 0.15rem 0.3rem;
}

.said {
  min-height: 1.5em;
}

.warn {
  border-left: 3px solid var(--orange);
  padding-left: 0.6rem;
}

table {
  border-collapse: collapse;
  width: 100%;
}

th {
  border-bottom: 1px solid var(--ink);
  font-size: 13px;
  font-weight: 600;
  padding: 0.15rem 0.3rem;
  text-align: left;
  vertical-align: bottom;
}

td {
  border-bottom: 1px solid var(--line);
  font-size: 14px;
  height: 1.75rem;
  padding: 0.1rem 0.3rem;
}

.right {
  text-align: right;
  white-space: nowrap;
}
`;function e(a,o={},...s){let t=document.createElement(a);for(let[m,n]of Object.entries(o))n==null||n===!1||(typeof n=="function"?t.addEventListener(m.slice(2),n):t.setAttribute(m,n===!0?"":String(n)));return t.append(...s),t}var ne="http://www.w3.org/2000/svg";function S(a,o={},...s){let t=document.createElementNS(ne,a);for(let[m,n]of Object.entries(o))t.setAttribute(m,String(n));return t.append(...s),t}function J(a,o){let s=a.attachShadow({mode:"open"}),t=e("div",{class:"figure",role:"group","aria-label":o});return document.body?.dataset.jpThemeLight==="false"&&(t.style.colorScheme="dark"),s.append(e("style",{},_),t),t}function L(a){return a===null?"–":a===0?"0":a<5e-4?"< 0.1 %":`${(100*a).toFixed(1)} %`}var ae=0;function K({label:a,min:o,max:s,step:t,value:m,show:n,change:k}){let g=e("span",{class:"number value","aria-hidden":"true"},n(m)),v=`slider-${++ae}`,b=e("input",{id:v,type:"range",min:o,max:s,step:t,value:m,"aria-valuetext":n(m)}),A=()=>{g.textContent=n(b.valueAsNumber),b.setAttribute("aria-valuetext",n(b.valueAsNumber))};return b.addEventListener("input",()=>{A(),k(b.valueAsNumber)}),{element:e("label",{class:"slider",for:v},e("span",{},a),g,b),input:b,set(C){b.valueAsNumber=C,A()}}}var q=`/* Heads as small pictures in a grid, with a text beside them. */

.two {
  display: grid;
  gap: 0.8rem 1.4rem;
  grid-template-columns: 15.5rem minmax(0, 1fr);
}

.head {
  margin-bottom: 0.45rem;
}

.grid {
  display: grid;
  gap: 0.4rem;
  grid-template-columns: repeat(var(--heads, 4), minmax(0, 1fr));
}

.cell {
  aspect-ratio: 1 / 1.3;
  background: var(--ground);
  border: 1px solid var(--line);
  border-radius: 0.2rem;
  display: grid;
  font-size: 12px;
  gap: 1px;
  grid-template-rows: minmax(0, 1fr) auto;
  line-height: 1.2;
  min-height: 0;
  min-width: 0;
  padding: 2px;
  text-align: center;
}

.cell.empty {
  background: var(--surface);
}

.cell canvas {
  aspect-ratio: 1;
  image-rendering: pixelated;
  width: 100%;
}

.cell.here {
  border-color: var(--ink);
  box-shadow: 0 0 0 1px var(--ink);
}
`;var V=`.tight {
  align-content: start;
  gap: 0.45rem;
}

.chart {
  overflow: hidden;
}

.chart svg {
  display: block;
}

svg text {
  fill: var(--muted);
  font-size: 13px;
  font-variant-numeric: tabular-nums;
}

text.tick {
  text-anchor: end;
}

text.step {
  text-anchor: middle;
}

.rule {
  stroke: var(--line);
}

.curve {
  fill: none;
  stroke: var(--blue);
  stroke-linejoin: round;
  stroke-width: 1.6;
}

.then {
  fill: var(--blue);
}

.now {
  fill: var(--orange);
}

tbody th {
  border-bottom: 1px solid var(--line);
  font-weight: 400;
  height: 1.75rem;
  position: relative;
  vertical-align: middle;
}

.kinds td:last-child {
  width: 6rem;
}

tbody th::before {
  background: var(--blue);
  bottom: -1px;
  content: "";
  height: 3px;
  left: 0;
  position: absolute;
  width: calc(var(--share, 0) * 100%);
}

.all th,
.all td {
  font-weight: 650;
}

.text {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  font: 1rem / 1.75 var(--course-serif, Georgia, serif);
  height: 9.6rem;
  overflow: auto;
  padding: 0.4rem 0.6rem;
}

.text .piece {
  background: color-mix(in srgb, var(--blue) var(--share, 0%), var(--ground));
  border-bottom: 0;
  margin: 0;
}

.text .piece.begin {
  color: var(--muted);
  font: 0.8em var(--course-sans, sans-serif);
}

.samples {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  font: 1rem / 1.55 var(--course-serif, Georgia, serif);
  height: 11.5rem;
  margin-top: 0.3rem;
  overflow: auto;
  overflow-wrap: anywhere;
  padding: 0.5rem 0.7rem;
}

.samples p + p {
  border-top: 1px solid var(--line);
  margin-top: 0.4rem;
  padding-top: 0.4rem;
}

@container (max-width: 520px) {
  .two {
    grid-template-columns: minmax(0, 1fr);
  }

  .grid {
    max-width: 17rem;
  }

  .said {
    min-height: 3em;
  }

  .text {
    height: 12rem;
  }

  .kinds .muted {
    display: none;
  }
}
`;var le=9,P=6,ce=12,de=8,he={form:"what the grammar leaves no choice",name:"a new name",free:"free variation",thing:"a thing",cause:"what follows from what",mood:"good or bad",recall:"a name from before",track:"who is meant",agreement:"he or she, a or an"};function me({model:a,el:o}){let s=J(o,"Time machine: one model at twelve moments of its training"),t=null,[m,n,k]=[0,0,!1],g=e("button",{type:"button",class:"main",onclick:X},"Open"),v=K({label:"Training steps done",min:0,max:ce-1,step:1,value:0,show:r=>t?t.moments[r].step.toLocaleString("en"):"–",change:r=>{m=r,$()}});v.input.disabled=!0;let b=e("p",{class:"said small muted",role:"status"}),A=e("div",{class:"chart"}),C=Array.from({length:le},()=>{let r=e("th",{scope:"row"},"–"),i=[e("td",{class:"right number"}),e("td",{class:"right number"})];return{element:e("tr",{},r,...i),name:r,cells:i}}),z=[e("td",{class:"right number"},"–"),e("td",{class:"right number"},"–")],w=e("div",{class:"grid",role:"toolbar","aria-label":"The heads, a row for each layer. Arrow keys move.",onkeydown:Z}),T=e("p",{class:"text",tabindex:0,role:"group","aria-label":"The text, shaded by what the head looks at"}),N=e("p",{class:"title"},"What a head looks at"),U=Array.from({length:P},()=>{let r=e("th",{scope:"row"},"–"),i=[e("td",{class:"right number"}),e("td",{class:"right number"})];return{element:e("tr",{},r,...i),name:r,cells:i}}),F=e("div",{class:"samples",tabindex:0,role:"group","aria-label":"What it writes at this moment, by the same luck each time"});s.append(e("style",{},q,V),e("div",{class:"stack"},e("div",{class:"row"},g,v.element),b,e("div",{},e("p",{class:"title"},"Bits a story above the truth"),A),e("table",{class:"kinds"},e("caption",{class:"hidden"},"Bits a story by kind of choice"),e("thead",{},e("tr",{},e("th",{scope:"col"},"kind of choice"),e("th",{scope:"col",class:"right"},"true bits"),e("th",{scope:"col",class:"right"},"above them"))),e("tbody",{},...C.map(r=>r.element),e("tr",{class:"all"},e("th",{scope:"row"},"all"),...z))),e("div",{class:"two"},e("div",{},e("p",{class:"title head"},"The heads"),w),e("div",{class:"stack tight"},N,T,e("table",{class:"next"},e("caption",{class:"hidden"},"The next word after the text"),e("thead",{},e("tr",{},e("th",{scope:"col"},"the next word"),e("th",{scope:"col",class:"right"},"model"),e("th",{scope:"col",class:"right"},"true"))),e("tbody",{},...U.map(r=>r.element))))),e("div",{},e("p",{class:"title"},"What it writes"),F))),M("A tenth of a megabyte is loaded when you open it."),$(),new ResizeObserver(B).observe(A);function M(r,i=!1){b.textContent=r,b.classList.toggle("warn",i)}async function X(){if(!(k||t)){k=!0,M("It is being loaded …");try{t=JSON.parse(new TextDecoder().decode(G(await H(a,"timemachine.json")))),n=Y(t),v.input.max=String(t.moments.length-1),v.input.disabled=!1,v.set(0),g.disabled=!0,v.input.focus();let{parameters:r,stories:i,batch:d,tests:p}=t.settings;M(`${r.toLocaleString("en")} parameters learn ${i.toLocaleString("en")} tales, ${d} a step; judged on ${p} others.`)}catch(r){M(`It could not be loaded: ${r instanceof Error?r.message:r}. Open it again to try again.`,!0)}k=!1,$()}}function $(){if(B(),!t){w.replaceChildren(...Array.from({length:de},()=>e("span",{class:"cell empty"}))),T.textContent="The text appears here, shaded by what one head looks at.";return}let r=t.moments[m],i=Object.keys(t.kinds),d=Math.max(...t.moments.flatMap(h=>i.map(c=>h.excess[c])));C.forEach(({element:h,name:c,cells:x},R)=>{let y=i[R];if(!t||!y)return void(h.hidden=!0);let j=r.excess[y];c.replaceChildren(y,e("span",{class:"muted"},` ${he[y]??""}`)),x[0].textContent=t.kinds[y].toFixed(1),x[1].textContent=W(j),h.style.setProperty("--share",String(Math.log1p(Math.max(0,j))/Math.log1p(d)))}),z[0].textContent=t.entropy.toFixed(1),z[1].textContent=W(r.bits);let p=t.pieces.length,u=r.attention.map(h=>I(h,p)),f=w.contains(o.shadowRoot?.activeElement);w.style.setProperty("--heads",String(t.settings.heads));let l=h=>`${Math.floor(h/(t?.settings.heads??1))}.${h%(t?.settings.heads??1)}`;w.replaceChildren(...u.map((h,c)=>e("button",{type:"button",class:`cell${c===n?" here":""}`,tabindex:c===n?0:-1,"aria-pressed":c===n?"true":"false","aria-label":`head ${l(c)}`,onclick:()=>{n=c,$(),w.children[c].focus()}},Q(h),e("span",{},l(c))))),f&&w.children[n].focus(),N.textContent=`What head ${l(n)} looks at, from the last word`;let E=u[n][p-1],D=Math.max(...E);T.replaceChildren(...t.pieces.flatMap((h,c)=>{let x=e("span",{class:`piece${c?"":" begin"}`,style:`--share: ${Math.round(45*(D?E[c]/D:0))}%`,title:L(E[c])},c?h:"start");return/^[.,!?”]/.test(h)?[x]:[" ",x]}));let O=Object.entries(r.next).sort((h,c)=>c[1]-h[1]);for(let[h]of Object.entries(t.truth)){let c=O.findIndex(([x])=>x===h);c>=P&&O.splice(P-1,0,...O.splice(c,1))}U.forEach(({element:h,name:c,cells:x},R)=>{let[y,j]=O[R]??["–",0];c.textContent=y,x[0].textContent=L(j),x[1].textContent=L(t?.truth[y]??0),h.style.setProperty("--share",String(j))}),F.replaceChildren(...r.samples.map(h=>e("p",{},h||"(the story ends at once)")))}function Y({pieces:r,truth:i,moments:d}){let p=r.indexOf(Object.keys(i)[0]),u=d[d.length-1].attention.map(f=>I(f,r.length)[r.length-1][p]??0);return u.indexOf(Math.max(...u))}function W(r){return Math.abs(r)<.05?"0.0":r>=99.95?r.toFixed(0):r.toFixed(1).replace("-","−")}function I(r,i){let d=atob(r),p=0;return Array.from({length:i},(u,f)=>Array.from({length:f+1},()=>d.charCodeAt(p++)/255))}function Q(r){let i=e("canvas",{width:r.length,height:r.length,"aria-hidden":"true"}),d=i.getContext("2d");return d&&(d.fillStyle=getComputedStyle(N).color,r.forEach((p,u)=>p.forEach((f,l)=>{d.globalAlpha=Math.min(1,f**.6),f>.01&&d.fillRect(l,u,1,1)}))),i}function B(){let[r,i]=[A.clientWidth||660,150],d=S("svg",{width:r,height:i,role:"img","aria-label":t?`${t.moments[m].bits} bits above the truth after ${t.moments[m].step} steps`:"nothing is open yet"}),p=t?.moments[t.moments.length-1].step??2400,u=l=>46+(r-60)*Math.log(1+l/8)/Math.log(1+p/8),f=l=>8+(i-34)*(3-Math.log10(Math.max(1,l)))/3;for(let l of[1,10,100,1e3])d.append(S("line",{x1:46,x2:r-8,y1:f(l),y2:f(l),class:"rule"}),S("text",{x:40,y:f(l)+4,class:"tick"},l.toLocaleString("en")));for(let l of[0,10,100,1e3])d.append(S("text",{x:u(l),y:i-6,class:"step"},l.toLocaleString("en")));t&&(d.append(S("polyline",{points:t.moments.map(l=>`${u(l.step).toFixed(1)},${f(l.bits).toFixed(1)}`).join(" "),class:"curve"})),t.moments.forEach((l,E)=>d.append(S("circle",{cx:u(l.step),cy:f(l.bits),r:E===m?6:3,class:E===m?"now":"then"})))),A.replaceChildren(d)}function Z(r){let i=t?.settings.heads??1,d={ArrowLeft:-1,ArrowRight:1,ArrowUp:-i,ArrowDown:i,Home:-1/0,End:1/0}[r.key];if(d===void 0)return;r.preventDefault();let p=[...w.querySelectorAll("button")],u=p.indexOf(o.shadowRoot?.activeElement);p[Math.min(Math.max(u+d,0),p.length-1)]?.click()}}var Ee={render:me};export{Ee as default};
