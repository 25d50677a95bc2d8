var K=/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu,E=a=>a.match(K)??[],$=a=>String.fromCharCode(...new TextEncoder().encode(a)),S=class{constructor({tokens:t,merges:r}){this.tokens=t;let e=new Map;t.forEach((s,n)=>e.has(s)||e.set(s,n)),this.byteId=Array.from({length:256},(s,n)=>e.get(String.fromCharCode(n))??-1),this.rank=new Map,r.forEach(([s,n],p)=>{let l=`${s},${n}`,f=e.get(t[s]+t[n])??-1;this.rank.has(l)||this.rank.set(l,[p,f])})}encode(t){return E(t).flatMap(r=>this.merge(r))}merge(t){let r=[...$(t)].map(e=>this.byteId[e.charCodeAt(0)]);for(;;){let[e,s,n]=[1/0,-1,-1];for(let p=0;p+1<r.length;p++){let l=this.rank.get(`${r[p]},${r[p+1]}`);l&&l[0]<e&&([e,s,n]=[l[0],p,l[1]])}if(s<0)return r;r.splice(s,2,n)}}};function N(a){let t=Uint8Array.from(a,e=>e.charCodeAt(0)),r=()=>[...t].map(e=>e.toString(16).toUpperCase().padStart(2,"0")).join(" ");try{let e=new TextDecoder("utf-8",{fatal:!0,ignoreBOM:!0}).decode(t);return/^(?:[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{M}])+$/u.test(e)&&!/^[\n\t]+$/.test(e)?{text:r(),hex:!0}:{text:e.replaceAll(" ","␣").replaceAll(`
`,"⏎").replaceAll("	","⇥"),hex:!1}}catch{return{text:r(),hex:!0}}}function P({data:a,size:t,crc:r}){let e;try{e=typeof a=="string"?H(a):new Uint8Array(a)}catch{throw new Error("the file is damaged: it is no base64")}if(e.length!==t)throw new Error(`the file is cut short: ${e.length} of ${t} bytes came`);if(V(e)!==r)throw new Error("the file is damaged: its checksum differs");return e}function H(a){let t=atob(a),r=new Uint8Array(t.length);for(let e=0;e<t.length;e++)r[e]=t.charCodeAt(e);return r}var X=Uint32Array.from({length:256},(a,t)=>{for(let r=0;r<8;r++)t=t&1?t>>>1^3988292384:t>>>1;return t>>>0});function V(a){let t=-1;for(let r=0;r<a.length;r++)t=t>>>8^X[(t^a[r])&255];return~t>>>0}function U(a,t){return new Promise((r,e)=>{let s=(n,p)=>{if(n?.asset!==t)return;if(a.off("msg:custom",s),n.error)return e(new Error(n.error));let l=p?.[0],f=l?.buffer?l.buffer.slice(l.byteOffset,l.byteOffset+l.byteLength):l;r({data:n.base64??f,size:n.size,crc:n.crc})};a.on("msg:custom",s),a.send({want:t})})}var B=`:host {
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
`;function i(a,t={},...r){let e=document.createElement(a);for(let[s,n]of Object.entries(t))n==null||n===!1||(typeof n=="function"?e.addEventListener(s.slice(2),n):e.setAttribute(s,n===!0?"":String(n)));return e.append(...r),e}function I(a,t){let r=a.attachShadow({mode:"open"}),e=i("div",{class:"figure",role:"group","aria-label":t});return document.body?.dataset.jpThemeLight==="false"&&(e.style.colorScheme="dark"),r.append(i("style",{},B),e),e}var _=`label > textarea {
  font-size: 16px;
  margin-top: 0.2rem;
}

button.small {
  min-height: 1.9rem;
  padding: 0.1rem 0.6rem;
}

.cut {
  border-top: 1px solid var(--line);
  padding-top: 0.6rem;
}

.cut .pieces {
  font: 1rem / 1.9 var(--course-mono, ui-monospace, "Noto Sans Mono CJK SC", monospace);
  margin-top: 0.25rem;
  height: 4.3rem;
  overflow: auto;
  padding: 0.15rem 0;
}

.count {
  font-size: 14px;
  font-weight: 600;
}

.tone0 {
  background: color-mix(in srgb, var(--blue) 20%, var(--ground));
  border-bottom-color: var(--blue);
}

.tone1 {
  background: color-mix(in srgb, var(--orange) 18%, var(--ground));
  border-bottom-color: var(--orange);
}

.tone2 {
  background: color-mix(in srgb, var(--green) 18%, var(--ground));
  border-bottom-color: var(--green);
}

.tone3 {
  background: color-mix(in srgb, var(--grey) 22%, var(--ground));
  border-bottom-color: var(--grey);
}

.piece.hex {
  color: var(--ink);
}

.said {
  min-height: 3em;
}

@container (max-width: 520px) {
  .cut .pieces {
    height: 8.1rem;
  }
}
`;var R="Unbelievable! It's a naïve cat, 词元 👩‍🚀.",Z=[["English",R],["spaces",`def f(x):
        return x  `],["digits","1234567 + 89 = 1234656"],["中文","语言模型读的是编号。"],["emoji","👩‍🚀 é é 🇨🇳"]],W=2e3,F=240;function q({model:a,el:t}){let r=a.get("options")??{},e=I(t,"Token lens: how a text is cut into tokens"),s=null,n=!1,p=i("textarea",{rows:2,spellcheck:"false",maxlength:W,oninput:w,onfocus:v});p.value=r.text??R;let l=i("p",{class:"said small muted",role:"status"}),f=i("button",{type:"button",hidden:!0,onclick:v},"Try again"),b=[A("GPT-2's pre-split","no token crosses these borders"),A("The course's BPE","1,024 tokens, learned from Python's documentation"),A("Bytes","256 tokens: every text, at length")];e.append(i("style",{},_),i("div",{class:"stack"},i("label",{class:"small"},"Any text",p),i("div",{class:"row"},i("span",{class:"small muted"},"or one of these:"),...Z.map(([o,c])=>i("button",{type:"button",class:"small",lang:o==="中文"?"zh":null,onclick:()=>{p.value=c,v(),w()}},o))),...b.map(o=>o.element),i("div",{class:"row"},l,f))),w();let j=new IntersectionObserver(o=>{o.some(c=>c.isIntersecting)&&(j.disconnect(),v())});j.observe(t);function A(o,c){let u=i("span",{class:"number count"}),d=i("div",{class:"pieces",role:"toolbar","aria-label":`${o}: arrow keys move`,onkeydown:D});return{element:i("section",{class:"cut","aria-label":o},i("div",{class:"row spread"},i("p",{class:"title"},o),u),i("p",{class:"small muted"},c),d),count:u,pieces:d}}async function v(){if(!(s||n)){n=!0,f.hidden=!0;try{s=new S(JSON.parse(new TextDecoder().decode(P(await U(a,"bpe.json"))))),x("")}catch(o){f.hidden=!1;let c=o instanceof Error?o.message:String(o);x(`The vocabulary could not be loaded: ${c}. The other two rows need none.`,!0)}n=!1,w()}}function x(o,c=!1){l.textContent=o||"Choose a piece for its bytes and its id.",l.classList.toggle("warn",c)}function w(){let o=p.value.slice(0,W).replace(/\p{Surrogate}/gu,"�"),c=new TextEncoder().encode(o).length;C(b[0],E(o).map(d=>({bytes:$(d),id:null})),c,"pieces");let u=s;C(b[1],u?u.encode(o).map(d=>({bytes:u.tokens[d],id:d})):null,c,"tokens"),C(b[2],[...$(o)].map(d=>({bytes:d,id:d.charCodeAt(0)})),c,"bytes"),l.classList.contains("warn")||x("")}function C({count:o,pieces:c},u,d,h){if(!u){o.textContent="",c.replaceChildren(i("span",{class:"muted small"},"The vocabulary, 19 kB, is being loaded."));return}let y=u.length?(d/u.length).toFixed(1):"–";o.textContent=`${u.length.toLocaleString("en")} ${u.length===1?h.slice(0,-1):h}, ${y} bytes each`;let g=u.length-F;c.replaceChildren(...u.slice(0,F).map(({bytes:m,id:k},T)=>{let{text:L,hex:z}=N(m),M=()=>{let O=[...m].map(J=>J.charCodeAt(0).toString(16).toUpperCase().padStart(2,"0")),G=z?m.length>1||m>""?"a part of a character, or a mark without a shape":"a control character":`“${L}”`;x(`${G}: ${m.length===1?"byte":`${m.length} bytes`} ${O.slice(0,24).join(" ")}${O.length>24?" …":""}${k===null?"":`, id ${k}`}.`)};return i("button",{type:"button",class:`piece tone${T%4}${z?" hex":""}`,tabindex:T?-1:0,title:k===null?null:`id ${k}`,onclick:M,onfocus:M},L)}),...g>0?[i("span",{class:"muted small"},` and ${g.toLocaleString("en")} more`)]:[])}function D(o){let c={ArrowLeft:-1,ArrowRight:1,Home:-1/0,End:1/0}[o.key];if(c===void 0)return;o.preventDefault();let d=[...o.currentTarget.querySelectorAll("button")],h=d.indexOf(o.target),y=d[Math.min(Math.max(h+c,0),d.length-1)];for(let g of d)g.tabIndex=g===y?0:-1;y?.focus()}}var pe={render:q};export{pe as default};
