var se=["exp","log","relu","tanh"];var T=(r,a)=>new Error(`at character ${r+1}: ${a}`);function Pe(r){let a=[],n=/\s*(?:(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)|([a-z_]\w*)|(\*\*|[-+*/^()=;]))/iy,i=r.replace(/[ \t]*\n/g,";").replace(/[−–]/g,"-").replace(/[×·]/g,"*");for(let s=0;i.slice(s).trim();s=n.lastIndex){n.lastIndex=s;let t=n.exec(i);if(!t){let u=s+i.slice(s).search(/\S/);throw T(u,`“${String.fromCodePoint(i.codePointAt(u)??0)}” has no meaning here`)}let w=t[1]?"number":t[2]?"name":"mark",k=t[1]??t[2]??(t[3]==="**"?"^":t[3]);a.push({kind:w,text:k,at:n.lastIndex-(t[1]??t[2]??t[3]).length})}return a.push({kind:"end",text:"",at:i.length}),a}function me(r,a){let n=Pe(r),i=new Map,s=[],[t,w,k]=[0,0,0],u=e=>n[t].kind==="mark"&&n[t].text===e&&!!++t,N=(e,f)=>{try{let d=e();if(typeof d!="number"&&++w>40)throw new Error("more than 40 operations");return d}catch(d){throw T(f,d.message)}};function M(){let e=O();for(;;){let{at:f,text:d}=n[t];if(!u("+")&&!u("-"))return e;let[b,p]=[e,O()];e=N(()=>Me(d,b,p),f)}}function O(){let e=I();for(;;){let{at:f,text:d}=n[t];if(!u("*")&&!u("/"))return e;let[b,p]=[e,I()];e=N(()=>Me(d,b,p),f)}}function I(){let{at:e}=n[t];if(++k>60)throw T(e,"this is nested too deep");let f;if(u("-")){let d=I();f=typeof d=="number"?-d:N(()=>Ne("neg",d),e)}else f=G();return k--,f}function G(){let e=j(),{at:f}=n[t];if(!u("^"))return e;let d=I();if(typeof d!="number")throw T(f,"an exponent is a number here; for a variable one write exp(n * log(x))");return N(()=>Be(e,d),f)}function j(){let e=n[t];if(e.kind==="number")return t++,Number(e.text);if(u("(")){let b=M();if(!u(")"))throw T(n[t].at,`“)” is missing, for the “(” at character ${e.at+1}`);return b}if(e.kind!=="name")throw T(e.at,e.kind==="end"?"the expression ends too early":`“${e.text}” stands where a number or a name should`);if(t++,u("(")){if(!se.includes(e.text))throw T(e.at,`“${e.text}” is no function here; there are ${se.join(", ")}`);let b=M();if(!u(")"))throw T(n[t].at,`“)” is missing after ${e.text}(`);return N(()=>Ne(e.text,b),e.at)}if(se.includes(e.text))throw T(e.at,`${e.text} wants its number in parentheses`);let f=i.get(e.text);if(f!==void 0)return f;if(s.length===8)throw T(e.at,"more than 8 variables");let d={op:"",name:e.text,data:a(e.text),parents:[],partials:[]};return i.set(e.text,d),s.push(d),d}let z=null;for(;n[t].kind!=="end";){if(u(";"))continue;let[e,f]=[n[t],n[t+1]],d=e.kind==="name"&&f.kind==="mark"&&f.text==="=";if(d){if(i.has(e.text))throw T(e.at,`${e.text} has a value already`);t+=2}if(z=M(),d){if(se.includes(e.text))throw T(e.at,`${e.text} is the name of a function`);i.set(e.text,z),typeof z!="number"&&z.op&&!z.name&&(z.name=e.text)}if(n[t].kind!=="end"&&!u(";"))throw T(n[t].at,`“${n[t].text}” comes where an operation should`)}if(z===null)throw new Error("there is no expression yet");if(typeof z=="number"||!z.op)throw new Error("nothing is computed of a variable here");let c=Ve(z);return{root:z,order:c,leaves:c.filter(e=>!e.op)}}function Ve(r){let a=new Set,n=i=>{a.has(i)||(i.parents.forEach(n),a.add(i))};return n(r),[...a]}var le=r=>typeof r=="number"?r:r.data;function ge(r,a,n,i={}){if(!Number.isFinite(a))throw new Error(`the result of ${r} is not finite`);let s=n.filter(([t])=>typeof t!="number");return{op:r,name:"",data:a,parents:s.map(([t])=>t),partials:s.map(([,t])=>t),...i}}function Me(r,a,n){let[i,s]=[le(a),le(n)];if(r==="/"&&s===0)throw new Error("division by zero");let t=r==="+"?i+s:r==="-"?i-s:r==="*"?i*s:i/s;if(typeof a=="number"&&typeof n=="number")return t;let w=r==="+"?[1,1]:r==="-"?[1,-1]:r==="*"?[s,i]:[1/s,-t/s],k={...typeof a=="number"&&{left:a},...typeof n=="number"&&{right:n}};return ge(r,t,[[a,w[0]],[n,w[1]]],k)}function Ne(r,a){let n=le(a);if(r==="log"&&!(n>0))throw new Error(`log needs a number above 0, got ${g(n)}`);if(r==="exp"&&n>709.78)throw new Error(`exp overflows above 709.78, got ${g(n)}`);let i=r==="neg"?-n:r==="relu"?Math.max(n,0):Math[r](n);if(typeof a=="number")return i;let s=r==="neg"?-1:r==="exp"?i:r==="log"?1/n:r==="tanh"?1-i*i:n>0?1:0;return ge(r,i,[[a,s]])}function Be(r,a){let n=le(r);if(n<0&&!Number.isInteger(a)||n===0&&(a<0||a>0&&a<1))throw new Error(`${g(n)} to the power ${g(a)} has no finite real value and derivative`);return typeof r=="number"?n**a:ge("^",n**a,[[r,a?a*n**(a-1):0]],{power:a})}function Se({root:r,order:a}){let n=new Map([[r,1]]);return a.filter(i=>i.op).reverse().map(i=>{let s=n.get(i)??0,t=i.parents.map((w,k)=>{let[u,N]=[i.partials[k],n.get(w)??0],M=s*u;return n.set(w,N+M),{parent:w,partial:u,amount:M,before:N,after:N+M}});return{node:i,given:t,after:new Map(n)}})}function g(r){let a=Math.abs(r);return(a!==0&&(a<.001||a>=1e5)?r.toExponential(2):String(Number(r.toPrecision(4)))).replace("-","−")}var ze=`:host {
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
`;function l(r,a={},...n){let i=document.createElement(r);for(let[s,t]of Object.entries(a))t==null||t===!1||(typeof t=="function"?i.addEventListener(s.slice(2),t):i.setAttribute(s,t===!0?"":String(t)));return i.append(...n),i}var Ge="http://www.w3.org/2000/svg";function D(r,a={},...n){let i=document.createElementNS(Ge,r);for(let[s,t]of Object.entries(a))i.setAttribute(s,String(t));return i.append(...n),i}function Ae(r,a){let n=r.attachShadow({mode:"open"}),i=l("div",{class:"figure",role:"group","aria-label":a});return document.body?.dataset.jpThemeLight==="false"&&(i.style.colorScheme="dark"),n.append(l("style",{},ze),i),i}function je(r,a){let n=new Map;for(let c of r)n.set(c,1+Math.max(-1,...a(c).map(e=>n.get(e)??0)));for(let c of r)a(c).length||n.set(c,Math.min(...r.filter(e=>a(e).includes(c)).map(e=>(n.get(e)??1)-1)));let i=1+Math.max(...n.values()),s=Array.from({length:i},()=>[]),t=(c,e)=>{let f={node:c,layer:e,at:0,up:[],down:[]};return s[e].push(f),f},w=new Map;for(let c of r)w.set(c,t(c,n.get(c)??0));let k=[],u=c=>w.get(c);for(let c of r)a(c).forEach((e,f)=>{let d=[u(e)];for(let b=u(e).layer+1;b<u(c).layer;b++)d.push(t(null,b));d.push(u(c));for(let b=1;b<d.length;b++)d[b].up.push(d[b-1]),d[b-1].down.push(d[b]);k.push({from:e,to:c,nth:f,via:d})});let N=c=>c.reduce((e,f)=>e+f.at,0)/c.length,M=()=>s.forEach(c=>c.forEach((e,f)=>e.at=f));M();let O=s.map(c=>c.slice()),I=Ce(s);for(let c=0;c<8&&I;c++){let e=c%2===0;for(let d of e?s:s.slice().reverse()){let b=new Map(d.map(p=>[p,(e?p.up:p.down).length?N(e?p.up:p.down):p.at]));d.sort((p,W)=>(b.get(p)??0)-(b.get(W)??0)),d.forEach((p,W)=>p.at=W)}let f=Ce(s);f<I&&([I,O]=[f,s.map(d=>d.slice())])}O.forEach((c,e)=>s[e]=c),M();let G=(c,e)=>c.node&&e.node?1:.7;for(let c=0;c<24;c++)for(let e of c%2?s.slice().reverse():s){let f=e.map(p=>p.up.length+p.down.length?N([...p.up,...p.down]):p.at),d=f.slice();for(let p=1;p<e.length;p++)d[p]=Math.max(d[p],d[p-1]+G(e[p-1],e[p]));let b=d.reduce((p,W,Z)=>p+W-f[Z],0)/(e.length||1);e.forEach((p,W)=>p.at=d[W]-b)}let j=s.flat(),z=Math.min(...j.map(c=>c.at));for(let c of j)c.at-=z;return{spots:w,paths:k,layers:i,breadth:1+Math.max(...j.map(c=>c.at))}}function Ce(r){let a=0;for(let n of r){let i=n.flatMap(s=>s.down.map(t=>[s.at,t.at]));for(let[s,t]of i)for(let[w,k]of i)s<w&&t>k&&a++}return a}var Le=`.mono {
  font-family: var(--course-mono, ui-monospace, monospace);
}

label > .field.mono {
  font-size: 16px;
  margin-top: 0.2rem;
}

button.small {
  min-height: 1.9rem;
  padding: 0.1rem 0.6rem;
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
  min-width: 7.2rem;
  text-align: right;
}

.picture {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  display: grid;
  height: 18.5rem;
  overflow: auto;
  padding: 0.6rem;
  place-content: safe center;
}

.picture svg {
  display: block;
}

.box {
  fill: var(--surface);
  stroke: var(--muted);
  stroke-width: 1;
}

.box.leaf {
  fill: var(--ground);
}

.box.later {
  stroke-dasharray: 3 3;
}

.box.now {
  stroke: var(--blue);
  stroke-width: 2.5;
}

.box.back {
  stroke: var(--orange);
  stroke-width: 2.5;
}

.edge {
  fill: none;
  stroke: var(--line);
  stroke-width: 1.5;
}

.edge.forwards {
  stroke: var(--blue);
  stroke-width: 2;
}

.edge.backwards {
  stroke: var(--orange);
  stroke-width: 2;
}

text {
  fill: var(--ink);
  font-size: 13px;
  font-variant-numeric: tabular-nums;
  text-anchor: middle;
}

text.what {
  font-family: var(--course-mono, ui-monospace, monospace);
  font-size: 12px;
}

text.value {
  fill: var(--blue);
}

text.grad {
  fill: var(--orange);
  font-weight: 600;
}

text.partial {
  fill: var(--ink);
  paint-order: stroke;
  stroke: var(--ground);
  stroke-linejoin: round;
  stroke-width: 7px;
}

.said {
  min-height: 3em;
}

.predict {
  align-items: start;
  min-height: 2.2rem;
}

.asked {
  flex: 1 1 14rem;
  gap: 0.3rem 0.6rem;
}

.asked.off {
  color: var(--muted);
}

.asked.off .number-field {
  border-color: var(--line);
}

.number-field {
  max-width: 7rem;
  min-height: 2rem;
}

.tick {
  cursor: pointer;
  gap: 0.4rem;
  min-height: 2rem;
}

.tick input {
  height: 1rem;
  margin: 0;
  width: 1rem;
}

tbody th {
  border-bottom: 1px solid var(--line);
  font-weight: 400;
  vertical-align: middle;
}

td {
  height: 2.4rem;
}

td.grad {
  color: var(--orange);
  font-weight: 600;
}

@container (max-width: 520px) {
  .picture {
    height: 31.5rem;
  }

  .made {
    text-align: left;
  }

  .said {
    min-height: 6em;
  }

  .predict {
    min-height: 6.4rem;
  }

  .number-field {
    max-width: 5.5rem;
    padding-inline: 0.4rem;
  }
}
`;var be=[["a neuron","L = (tanh(w*x + b) - y)^2",{w:.8,x:1.5,b:-.4,y:1}],["used twice","s = x*x; L = s * tanh(s)",{x:.9}],["a softmax","L = log(exp(a) + exp(b)) - a",{a:.5,b:1.2}],["four tanh","L = tanh(tanh(tanh(tanh(3*x))))",{x:.7}]],Te=[.8,1.5,-.4,1,.5,-1.2,2,.3],Ie={"+":"+","-":"−","*":"×","/":"÷",neg:"−( )"};function xe(r){if(r.power!==void 0)return r.power===2?"( )²":r.power===3?"( )³":`( ) ^ ${g(r.power)}`;let a=Ie[r.op]??r.op;return`${r.left===void 0?"":`${g(r.left)} `}${a}${r.right===void 0?"":` ${g(r.right)}`}`}function qe({model:r,el:a}){let n=r.get("options")??{},i=Ae(a,"Backpropagation: a graph of your expression, step by step"),s=new Map(Object.entries(be[0][2])),t=null,w=[],k=[],u=0,N="",M=!1,O=l("input",{class:"field mono",type:"text",spellcheck:"false",autocomplete:"off",autocapitalize:"off",maxlength:200,oninput:()=>ee()});O.value=n.text??be[0][1];let I=l("button",{type:"button",onclick:()=>te(u-1)},"Back"),G=l("button",{type:"button",class:"main",onclick:we},"Next step"),j=l("input",{type:"range",min:0,max:1,value:0,step:1,"aria-label":"Steps made",oninput:()=>te(j.valueAsNumber)}),z=l("span",{class:"number small muted made"}),c=l("input",{type:"checkbox",onchange:()=>K()}),e=l("span",{}),f=l("input",{class:"field number-field",type:"text",inputmode:"decimal",autocomplete:"off",onkeydown:o=>o.key==="Enter"&&we()}),d=l("label",{class:"row small asked"},e,f),b=l("p",{class:"said",role:"status"}),p=l("div",{class:"picture",tabindex:0,role:"group","aria-label":"The graph; a table of it follows"}),W=l("tbody",{}),Z=l("tbody",{});i.append(l("style",{},Le),l("div",{class:"stack"},l("label",{class:"small"},"An expression, yours to change (+ − * / ^, exp, log, tanh, relu; a semicolon between statements)",O),l("div",{class:"row"},l("span",{class:"small muted"},"or one of these:"),...be.map(([o,$,x])=>l("button",{type:"button",class:"small",onclick:()=>{for(let[h,m]of Object.entries(x))s.set(h,m);O.value=$,ee()}},o))),l("div",{class:"row controls"},I,G,l("div",{class:"scrub"},j),z),p,b,l("div",{class:"row spread predict"},d,l("label",{class:"small row tick"},c,"let me predict")),l("table",{},l("caption",{class:"hidden"},"The variables: value, derivative of the result, and the derivative by a small nudge"),l("thead",{},l("tr",{},l("th",{scope:"col"},"variable"),l("th",{scope:"col"},"value"),l("th",{scope:"col",class:"right"},"derivative"),l("th",{scope:"col",class:"right"},"by a nudge"))),W),l("table",{class:"hidden"},l("caption",{},"The nodes of the graph"),l("thead",{},l("tr",{},...["node","made of","value","derivative"].map(o=>l("th",{scope:"col"},o)))),Z))),ee(),new ResizeObserver(()=>{let o=p.clientWidth<480;o!==M&&(M=o,K())}).observe(p);function ee(o=!1){let[$,x]=[u,t];try{t=me(O.value,h=>(s.has(h)||s.set(h,Te[s.size%Te.length]),s.get(h)))}catch(h){b.textContent=`No graph yet: ${h.message}.`,b.classList.add("warn"),[I.disabled,G.disabled,j.disabled]=[!0,!0,!0];return}b.classList.remove("warn"),k=t.order.filter(h=>h.op),w=Se(t),u=o&&x?.order.length===t.order.length?$:0,N="",o||W.replaceChildren(...t.leaves.map(h=>{let m=l("input",{class:"field number-field",type:"number",step:.1,"aria-label":`value of ${h.name}`,oninput:()=>{Number.isFinite(m.valueAsNumber)&&(s.set(h.name,m.valueAsNumber),ee(!0))}});return m.value=String(h.data),l("tr",{},l("th",{scope:"row",class:"mono"},h.name),l("td",{},m),l("td",{class:"right number grad"}),l("td",{class:"right number nudge"}))})),K()}function te(o){u=Math.min(Math.max(o,0),ce()),N="",K()}function ce(){return k.length+1+w.length}function ve(){let o=u-k.length-1;if(!c.checked||o<0||o>=w.length)return null;let{node:$,given:x,after:h}=w[o],m=x.find(S=>S.before!==0)??x.find(S=>Math.abs(S.partial)!==1)??x[0],A=x.filter(S=>S.parent===m.parent);return{node:$,parent:m.parent,partial:A.reduce((S,L)=>S+L.partial,0),amount:A.reduce((S,L)=>S+L.amount,0),before:A[0].before,after:h.get(m.parent)??0}}function we(){let o=ve(),$=f.value.trim().replace(/[−–]/g,"-").replace(",",".");if(!o||!$)return te(u+1);let x=Number($);if(!Number.isFinite(x))return N="A number is wanted, such as −0.35.",K();let h=S=>Math.abs(x-S)<=.006+.01*Math.abs(S),m=g(o.after),A=h(o.after)?`Right: ${m}.`:h(o.partial)?`It is ${m}. ${g(o.partial)} is the local derivative alone; times what has arrived at this node, it is what is handed over.`:o.before&&h(o.amount)?`It is ${m}. ${g(o.amount)} is what this step hands over, and ${g(o.before)} was there already: they add.`:h(-o.after)?`It is ${m}: the sign is the other.`:`It is ${m}.`;f.value="",te(u+1),N=A,K()}function P(o){return o.name||xe(o)}function K(){if(!t)return;let o=ce(),$=new Set([...t.leaves,...k.slice(0,u)]),x=u-k.length,h=x>1?w[x-2]:null,m=x<1?new Map:h?.after??new Map([[t.root,1]]),A=ve();j.max=String(o),j.disabled=!1,j.valueAsNumber=u,I.disabled=u===0,G.disabled=u===o,G.textContent=A?"Check":"Next step",z.textContent=u<=k.length?`forward ${u} of ${k.length}`:`back ${x} of ${w.length+1}`,j.setAttribute("aria-valuetext",z.textContent);let S=P(t.root);d.classList.toggle("off",!A),f.disabled=!A,e.textContent=A?`What is the derivative of ${S} by “${P(A.parent)}” after “${P(A.node)}” has handed on?`:"The derivative that comes next";let L=u===0?null:x<=0?k[u-1]:x===1?t.root:w[x-2].node;(!b.classList.contains("warn")||N)&&b.replaceChildren(...N?[l("b",{},N)," "]:[],Oe(L,h,m)),p.replaceChildren(Fe($,m,L,h)),[...W.children].forEach((C,E)=>{let v=t?.leaves[E],[,,de,U]=C.children,_=v&&u===o?m.get(v)??0:v&&m.get(v);de.textContent=_===void 0?"":g(_),U.textContent=u===o&&v?We(v.name):""}),Z.replaceChildren(...t.order.map(C=>l("tr",{},l("th",{scope:"row"},C.name&&C.op?`${C.name}: ${xe(C)}`:P(C)),l("td",{},C.parents.map(P).join(", ")||"given"),l("td",{},$.has(C)?g(C.data):"not yet"),l("td",{},m.has(C)?g(m.get(C)??0):"not yet"))))}function Oe(o,$,x){if(!t||!o)return"The variables have their values. Go forward: each step computes one node.";if($){let E=x.get($.node)??0;return`“${P(o)}” has ${g(E)} and hands on: `+$.given.map(v=>`to “${P(v.parent)}” ${g(E)} × ${g(v.partial)} = ${g(v.amount)}${v.before?`, which makes ${g(v.before)} + ${g(v.amount)} = ${g(v.after)}`:""}`).join("; ")+(u===ce()?". That is all.":".")}if(u>k.length)return`Now back. The derivative of ${P(o)} by itself is 1.`;let[h,m]=o.parents.map(E=>g(E.data)),A=o.left===void 0?h:g(o.left),S=o.right===void 0?o.left===void 0?m:h:g(o.right),L=Ie[o.op],C=o.power!==void 0?`(${h})^${g(o.power)}`:o.op==="neg"?`−(${h})`:L?`${A} ${L} ${S.startsWith("−")?`(${S})`:S}`:`${o.op}(${h})`;return`${o.name?`${o.name} = `:""}${C} = ${g(o.data)}`}function We(o){let $=1e-5*Math.max(1,Math.abs(s.get(o)??1)),x=h=>me(O.value,m=>(s.get(m)??0)+(m===o?h:0)).root.data;try{return g((x($)-x(-$))/(2*$))}catch{return"–"}}function Fe(o,$,x,h){let{order:m}=t,{spots:A,paths:S,layers:L,breadth:C}=je(m,y=>y.parents),[E,v]=[82,56],de=p.clientWidth?p.clientWidth-24:660,U=M?82:Math.min(150,Math.max(E+26,(de-E)/Math.max(1,L-1))),_=M?E+8:v+16,ue=y=>M?[y.at*_+E/2+2,y.layer*U+v/2+2]:[y.layer*U+E/2+2,y.at*_+v/2+2],[ke,ye]=M?[(C-1)*_+E+4,(L-1)*U+v+4]:[(L-1)*U+E+4,(C-1)*_+v+4],re=D("svg",{width:ke,height:ye,viewBox:`0 0 ${ke} ${ye}`,"aria-hidden":"true"}),$e=[];for(let{from:y,to:F,nth:ne,via:oe}of S){let pe=h?.node===F||!h&&x===F&&o.has(F)&&$.size===0,R=oe.map(ue),H=F.parents.filter(V=>V===y).length>1?ne?9:-9:0,ae="";if(R.forEach(([V,q],B)=>{if(!B)return void(ae=M?`M${V+H} ${q+v/2}`:`M${V+E/2} ${q+H}`);let[X,fe]=R[B-1],ie=B===R.length-1;if(M){let[Q,J]=[B===1?fe+v/2:fe,ie?q-v/2:q],[he,Y]=[X+(B===1?H:0),V+(ie?H:0)];ae+=`C${he} ${(Q+J)/2} ${Y} ${(Q+J)/2} ${Y} ${J}`}else{let[Q,J]=[B===1?X+E/2:X,ie?V-E/2:V],[he,Y]=[fe+(B===1?H:0),q+(ie?H:0)];ae+=`C${(Q+J)/2} ${he} ${(Q+J)/2} ${Y} ${J} ${Y}`}}),re.append(D("path",{d:ae,class:`edge${pe?h?" backwards":" forwards":""}`})),h?.node===F){let[[V,q],[B,X]]=R.slice(-2);$e.push(D("text",{x:(V+B)/2,y:q+(X-q)*(M?.5:.28)+4+(M?0:H*1.2),class:"partial"},`× ${g(F.partials[ne])}`))}}for(let y of m){let[F,ne]=ue(A.get(y)),oe=$.get(y),pe=`box${y.op?"":" leaf"}${o.has(y)?"":" later"}${y===x?u>k.length?" back":" now":""}`,R=y.op&&y.name?`${y.name} = ${xe(y)}`:P(y);re.append(D("g",{transform:`translate(${F-E/2} ${ne-v/2})`},D("rect",{width:E,height:v,rx:5,class:pe}),D("text",{x:E/2,y:16,class:"what"},R.length>12?`${R.slice(0,11)}…`:R),D("text",{x:E/2,y:32,class:"value"},o.has(y)?g(y.data):""),D("text",{x:E/2,y:48,class:"grad"},oe===void 0?"":g(oe))))}re.append(...$e);let Ee=x&&A.get(x);if(Ee){let[y,F]=ue(Ee);queueMicrotask(()=>p.scrollTo(y-p.clientWidth/2,F-p.clientHeight/2))}return re}}var tt={render:qe};export{tt as default};
