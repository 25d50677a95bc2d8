var re=/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu,j=s=>s.match(re)??[],E=s=>String.fromCharCode(...new TextEncoder().encode(s));function R(s){let l=new Map;for(let r of j(s))l.set(r,(l.get(r)??0)+1);let c=[...l].map(([r,e])=>({tokens:[...E(r)],count:e}));return{words:c,pairs:U(c)}}function D({words:s,pairs:l}){let{a:c,b:r}=l[0],e=s.map(({tokens:a,count:o})=>({tokens:L(a,c,r),count:o}));return{words:e,pairs:U(e)}}function L(s,l,c){let r=[];for(let e=0;e<s.length;e++)s[e]===l&&s[e+1]===c?(r.push(l+c),e++):r.push(s[e]);return r}function U(s){let l=new Map;for(let{tokens:e,count:a}of s)for(let o=0;o+1<e.length;o++){let g=l.get(e[o])??new Map;g.set(e[o+1],(g.get(e[o+1])??0)+a),l.set(e[o],g)}let c=[...l].flatMap(([e,a])=>[...a].map(([o,g])=>({a:e,b:o,count:g}))),r=(e,a)=>e<a?1:e>a?-1:0;return c.sort((e,a)=>a.count-e.count||r(e.a,a.a)||r(e.b,a.b))}function k(s){let l=Uint8Array.from(s,r=>r.charCodeAt(0)),c=()=>[...l].map(r=>r.toString(16).toUpperCase().padStart(2,"0")).join(" ");try{let r=new TextDecoder("utf-8",{fatal:!0,ignoreBOM:!0}).decode(l);return/^(?:[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{M}])+$/u.test(r)&&!/^[\n\t]+$/.test(r)?{text:c(),hex:!0}:{text:r.replaceAll(" ","␣").replaceAll(`
`,"⏎").replaceAll("	","⇥"),hex:!1}}catch{return{text:c(),hex:!0}}}var H=`:host {
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
`;function t(s,l={},...c){let r=document.createElement(s);for(let[e,a]of Object.entries(l))a==null||a===!1||(typeof a=="function"?r.addEventListener(e.slice(2),a):r.setAttribute(e,a===!0?"":String(a)));return r.append(...c),r}function V(s,l){let c=s.attachShadow({mode:"open"}),r=t("div",{class:"figure",role:"group","aria-label":l});return document.body?.dataset.jpThemeLight==="false"&&(r.style.colorScheme="dark"),c.append(t("style",{},H),r),r}var X=`label > textarea {
  font-size: 16px;
  margin-top: 0.2rem;
}

.scrub {
  align-items: center;
  display: flex;
  flex: 1 1 8rem;
}

.scrub input {
  height: 1.5rem;
  margin: 0;
  width: 100%;
}

.made {
  min-width: 5.2rem;
  text-align: right;
}

.text {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  font: 1rem / 2 var(--course-mono, ui-monospace, "Noto Sans Mono CJK SC", monospace);
  height: 9.4rem;
  overflow: auto;
  padding: 0.5rem 0.7rem;
}

.word {
  display: inline-block;
  margin-right: 0.35rem;
}

.piece.long {
  background: color-mix(in srgb, var(--blue) 16%, var(--ground));
  border-bottom-color: var(--blue);
}

.piece.new {
  background: color-mix(in srgb, var(--orange) 26%, var(--ground));
  border-bottom-color: var(--orange);
}

.two {
  display: grid;
  gap: 1rem 2rem;
  grid-template-columns: minmax(0, 1.2fr) minmax(0, 1fr);
}

.head {
  margin-bottom: 0.35rem;
  min-height: 1.6rem;
}

.guess {
  cursor: pointer;
  gap: 0.4rem;
}

.guess input {
  height: 1rem;
  margin: 0;
  width: 1rem;
}

tbody th {
  border-bottom: 1px solid var(--line);
  font: 400 14px/1.3 var(--course-mono, ui-monospace, "Noto Sans Mono CJK SC", monospace);
  height: 2.1rem;
  overflow-wrap: anywhere;
  padding: 0.1rem 0.3rem;
  vertical-align: middle;
}

td {
  height: 2.1rem;
}

.best :is(th, td) {
  background: color-mix(in srgb, var(--orange) 14%, var(--ground));
}

.best th {
  font-weight: 650;
}

.pick {
  font-size: 14px;
  line-height: 1.2;
  min-height: 1.75rem;
  padding: 0 0.6rem;
}

.said {
  margin-top: 0.5rem;
  min-height: 4.5em;
}

.merges {
  border-left: 2px solid var(--line);
  font: 14px/1.7 var(--course-mono, ui-monospace, "Noto Sans Mono CJK SC", monospace);
  height: 16.5rem;
  margin: 0;
  overflow: auto;
  overflow-wrap: anywhere;
  padding: 0 0.4rem 0 2.6rem;
  white-space: pre-wrap;
}

.merges li::marker {
  color: var(--muted);
  font-size: 12px;
}

@container (max-width: 520px) {
  .made {
    text-align: left;
  }

  .two {
    grid-template-columns: minmax(0, 1fr);
  }

  .merges {
    height: 9rem;
  }
}
`;var ae="low lower lowest, new newer newest, wide wider widest. The lowest widest newest.",q=600,y=60,Q=6;function ie({model:s,el:l}){let c=s.get("options")??{},r=V(l,"BPE stepper: byte-pair encoding learns from a text, merge by merge"),e=[],a=[],o=0,[g,M]=[0,0],v="",A=t("textarea",{rows:2,spellcheck:"false",maxlength:q,oninput:B});A.value=c.text??ae;let O=t("button",{type:"button",onclick:()=>$(o-1)},"Back"),P=t("button",{type:"button",class:"main",onclick:()=>$(o+1)},"Next merge"),f=t("input",{type:"range",min:0,max:1,value:0,step:1,"aria-label":"Merges made",oninput:()=>$(f.valueAsNumber)}),_=t("span",{class:"number small made"}),b=t("input",{type:"checkbox",onchange:C}),I=t("p",{class:"said small muted",role:"status"}),W=t("div",{class:"pieces text",tabindex:0,role:"group","aria-label":"The text, cut into tokens"}),N=Array.from({length:Q},(n,i)=>Y(i)),S=t("ol",{class:"merges",tabindex:0,"aria-label":"The merges so far"});r.append(t("style",{},X),t("div",{class:"stack"},t("label",{class:"small"},"The text that is learned from, yours to change",A),t("div",{class:"row controls"},O,P,t("div",{class:"scrub"},f),_),W,t("div",{class:"two"},t("div",{},t("div",{class:"row spread head"},t("p",{class:"title"},"Pairs side by side"),t("label",{class:"small row guess"},b,"let me predict")),t("table",{},t("caption",{class:"hidden"},"The most frequent pairs of neighbouring tokens and their counts"),t("thead",{},t("tr",{},t("th",{scope:"col"},"pair"),t("th",{scope:"col",class:"right"},"count"))),t("tbody",{},...N.map(n=>n.element))),I),t("div",{},t("p",{class:"title head"},"Merges, in the order of learning"),S)))),B();function Y(n){let i=t("span",{class:"pair"}),d=t("button",{type:"button",class:"pick",onclick:()=>Z(n)}),m=t("td",{class:"right number"});return{element:t("tr",{},t("th",{scope:"row"},i,d),m),name:i,pick:d,count:m}}function B(){let n=A.value.slice(0,q).replace(/\p{Surrogate}/gu,"�");e=[R(n)],a=j(n).map(i=>[...E(i)]),[o,g,M,v]=[0,0,0,""],C()}function $(n){for(n=Math.min(Math.max(n,0),y);e.length<=n&&e[e.length-1].pairs.length;)e.push(D(e[e.length-1]));o=Math.min(n,e.length-1),v="",C()}function F(){let n=e[o].pairs.slice(0,Q);if(!b.checked)return n;let i=({a:d,b:m})=>d+"\0"+m;return n.sort((d,m)=>i(d)<i(m)?-1:1)}function Z(n){let[i,d]=[e[o].pairs[0],F()[n]];if(!d)return;M++,d===i&&g++;let m=d.count===i.count&&d!==i;$(o+1),v=d===i?`Right: ${x(i)} stands there ${z(i.count)}.`:`It was ${x(i)}, ${z(i.count)}; ${x(d)} stands there ${z(d.count)}${m?" too, and of equals the greater pair of byte strings goes first":""}.`,v+=` ${g} of ${M} predicted.`,C(),N[0].pick.focus()}function C(){let n=e[o],i=o?e[o-1].pairs[0]:null,d=!n.pairs.length||o===y;f.max=String(Math.min(y,e.length-1+(e[e.length-1].pairs.length?10:0))),f.valueAsNumber=o,f.setAttribute("aria-valuetext",`${o} merges`),f.style.setProperty("--share",String(o/Math.max(1,Number(f.max)))),_.textContent=`${o} ${o===1?"merge":"merges"}`,O.disabled=o===0,P.disabled=d;let m=0,J=a.map(p=>{for(let u=0;u<o;u++)p=L(p,e[u].pairs[0].a,e[u].pairs[0].b);return m+=p.length,p}),ee=i?i.a+i.b:"";W.replaceChildren(...J.map(p=>t("span",{class:"word"},...p.map(u=>{let{text:w,hex:T}=k(u);return t("span",{class:`piece${T?" hex":""}${u===ee?" new":u.length>1?" long":""}`},w)}))));let te=F();N.forEach(({element:p,name:u,pick:w,count:T},G)=>{let h=te[G];u.hidden=b.checked,w.hidden=!b.checked||!h,u.textContent=h?x(h):"–",w.textContent=h?x(h):"–",w.disabled=d,T.textContent=h?b.checked?"?":h.count.toLocaleString("en"):"",p.classList.toggle("best",!b.checked&&G===0&&!!h)}),S.replaceChildren(...e.slice(0,o).map(({pairs:[p]})=>t("li",{},`${x(p)} → `,t("b",{},k(p.a+p.b).text),t("span",{class:"muted"},`  ${p.count}`)))),S.scrollTop=S.scrollHeight;let K=a.reduce((p,u)=>p+u.length,0);I.textContent=v||(d?o===y?`The figure stops at ${y} merges; a tokenizer goes on to tens of thousands.`:K?"No pair is left: each word is one token.":"There is no text to learn from.":b.checked?"Which pair is merged next? Count, then choose.":`${K.toLocaleString("en")} bytes are ${m.toLocaleString("en")} tokens now.`)}function x({a:n,b:i}){return`${k(n).text} + ${k(i).text}`}function z(n){return n===1?"once":n===2?"twice":`${n} times`}}var he={render:ie};export{he as default};
