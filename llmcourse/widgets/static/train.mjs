function Q({data:n,size:e,crc:o}){let r;try{r=typeof n=="string"?ct(n):new Uint8Array(n)}catch{throw new Error("the file is damaged: it is no base64")}if(r.length!==e)throw new Error(`the file is cut short: ${r.length} of ${e} bytes came`);if(ut(r)!==o)throw new Error("the file is damaged: its checksum differs");return r}function ct(n){let e=atob(n),o=new Uint8Array(e.length);for(let r=0;r<e.length;r++)o[r]=e.charCodeAt(r);return o}var dt=Uint32Array.from({length:256},(n,e)=>{for(let o=0;o<8;o++)e=e&1?e>>>1^3988292384:e>>>1;return e>>>0});function ut(n){let e=-1;for(let o=0;o<n.length;o++)e=e>>>8^dt[(e^n[o])&255];return~e>>>0}function Y(n,e){return new Promise((o,r)=>{let c=(a,d)=>{if(a?.asset!==e)return;if(n.off("msg:custom",c),a.error)return r(new Error(a.error));let u=d?.[0],h=u?.buffer?u.buffer.slice(u.byteOffset,u.byteOffset+u.byteLength):u;o({data:a.base64??h,size:a.size,crc:a.crc})};n.on("msg:custom",c),n.send({want:e})})}var X='"use strict";(()=>{function B(a){let e=-1/0;for(let o=0;o<a.length;o++)a[o]>e&&(e=a[o]);let s=new Float64Array(a.length),i=0;for(let o=0;o<s.length;o++)i+=s[o]=Math.exp(a[o]-e);for(let o=0;o<s.length;o++)s[o]/=i;return s}function N(a){return Uint32Array.from({length:a.length},(s,i)=>i).sort((s,i)=>a[i]-a[s]||s-i)}function z(a){return a=Math.imul(a^a>>>16,2246822507),a=Math.imul(a^a>>>13,3266489909),(a^a>>>16)>>>0}function q(a,e){return z(z(a)+Math.imul(e+1,2654435769)|0)/2**32}function V(a,e,s){let i=0,o=e[0];for(let n of e)if(a[n]!==0&&(o=n,i+=a[n],s<i))return n;return o}var C={width:32,heads:4,layers:2,context:32,batch:8},S=256,O=1e-5;function F(a,e,s,i,o,n){for(let h=0;h<i;h++)for(let w=0,t=0;w<o;w++,t+=n){let d=h*n,r=0,k=0,c=0,g=0;for(let p=0;p<n;p+=4)r+=a[d+p]*e[t+p],k+=a[d+p+1]*e[t+p+1],c+=a[d+p+2]*e[t+p+2],g+=a[d+p+3]*e[t+p+3];s[h*o+w]=r+k+(c+g)}}function A(a,e,s,i,o,n,h,w){for(let t=0;t<n;t++)for(let d=0;d<h;d+=4){let[r,k,c]=[t*h+d,t*w,Math.min(4,h-d)],g=a[r],p=c>1?a[r+1]:0,l=c>2?a[r+2]:0,M=c>3?a[r+3]:0,u=d*w,b=c>1?u+w:u,m=c>2?b+w:u,y=c>3?m+w:u;for(let f=0;f<w;f++)i[k+f]+=g*s[u+f]+p*s[b+f]+(l*s[m+f]+M*s[y+f])}for(let t=0;t<h;t++)for(let d=0;d<n;d+=4){let[r,k,c]=[d*h+t,d*w,t*w],g=a[r],p=a[r+h],l=a[r+2*h],M=a[r+3*h];for(let u=0;u<w;u++)o[c+u]+=g*e[k+u]+p*e[k+w+u]+(l*e[k+2*w+u]+M*e[k+3*w+u])}}function D(a,e,s,i){let o=e.length;for(let n=0;n<i;n++){let h=0;for(let t=n*o;t<(n+1)*o;t++)h+=a[t]*a[t];let w=1/Math.sqrt(h/o+O);for(let t=0;t<o;t++)s[n*o+t]=a[n*o+t]*w*e[t]}}function I(a,e,s,i,o,n){let h=s.length;for(let w=0;w<n;w++){let[t,d]=[0,0];for(let c=0,g=w*h;c<h;c++,g++)t+=e[g]*e[g],d+=a[g]*s[c]*e[g];let r=1/Math.sqrt(t/h+O),k=d*r**3/h;for(let c=0,g=w*h;c<h;c++,g++)o[c]+=a[g]*e[g]*r,i[g]+=a[g]*s[c]*r-e[g]*k}}var E=class{constructor(e,{seed:s,shape:i=C}){let o=[...e],n=new Map;for(let f of o)n.set(f,(n.get(f)??0)+1);let h=[...n].sort((f,x)=>x[1]-f[1]||(f[0]<x[0]?-1:1)).map(([f])=>f);this.vocabulary=h.length>S?[...h.slice(0,S-1),"�"]:h;let w=new Map(this.vocabulary.map((f,x)=>[f,x]));this.ids=o.map(f=>w.get(f)??this.vocabulary.length-1);let{context:t,batch:d,width:r,layers:k}=i;if(this.ids.length<20*t)throw new Error(`a text of ${20*t} characters at least is wanted, this has ${this.ids.length}`);this.cut=Math.floor(this.ids.length*.9),this.shape=i,this.seed=s,this.step=0;let c=this.vocabulary.length,g=0,p=()=>{let[f,x]=[q(s+1e6,g++),q(s+1e6,g++)];return Math.sqrt(-2*Math.log(f+1e-12))*Math.cos(2*Math.PI*x)};this.weights=new Map;let l=(f,x,j)=>this.weights.set(f,Float32Array.from({length:x},()=>j?j*p():1));l("embed.weight",c*r,.1),l("positions.weight",t*r,.1);let M=.1/Math.sqrt(2*k);for(let f=0;f<k;f++){let x=`blocks.${f}`;l(`${x}.norm1.weight`,r,0),l(`${x}.attention.qkv.weight`,3*r*r,.15),l(`${x}.attention.o.weight`,r*r,M),l(`${x}.norm2.weight`,r,0),l(`${x}.mlp.up.weight`,4*r*r,.15),l(`${x}.mlp.down.weight`,4*r*r,M)}l("norm.weight",r,0);let u=()=>new Map([...this.weights].map(([f,x])=>[f,new Float32Array(x.length)]));this.grads=u(),this.first=u(),this.second=u(),this.size=[...this.weights.values()].reduce((f,x)=>f+x.length,0);let b=d*t,m=f=>new Float32Array(b*f),y=()=>({x:m(r),h1:m(r),qkv:m(3*r),att:new Float32Array(d*i.heads*t*t),mixed:m(r),mid:m(r),h2:m(r),up:m(4*r),act:m(4*r)});this.layers=Array.from({length:k},y),this.last=m(r),this.final=m(r),this.logits=m(c),this.dLogits=m(c),this.dx=m(r),this.dh=m(r),this.dMid=m(r),this.dUp=m(4*r),this.dQkv=m(3*r)}get unigram(){let e=new Float64Array(this.vocabulary.length);for(let s=0;s<this.cut;s++)e[this.ids[s]]++;return e.reduce((s,i)=>i?s-i/this.cut*Math.log(i/this.cut):s,0)}starts(e,s=!1){let{batch:i,context:o}=this.shape,[n,h]=s?[this.cut,this.ids.length]:[0,this.cut];return Array.from({length:i},(w,t)=>n+Math.floor(q(this.seed+(s?7:0),e*i+t)*(h-n-o-1)))}w(e){return this.weights.get(e)}forward(e,s,i){let{width:o,heads:n,layers:h}=this.shape,[w,t,d]=[o/n,s*i,this.vocabulary.length],[r,k]=[this.w("embed.weight"),this.w("positions.weight")],c=this.layers[0].x;for(let g=0;g<t;g++)for(let p=0;p<o;p++)c[g*o+p]=r[e[g]*o+p]+k[g%i*o+p];for(let g=0;g<h;g++){let p=`blocks.${g}`,l=this.layers[g];D(l.x,this.w(`${p}.norm1.weight`),l.h1,t),F(l.h1,this.w(`${p}.attention.qkv.weight`),l.qkv,t,3*o,o),this.attend(l,s,i,n,w),F(l.mixed,this.w(`${p}.attention.o.weight`),l.mid,t,o,o);for(let u=0;u<t*o;u++)l.mid[u]+=l.x[u];D(l.mid,this.w(`${p}.norm2.weight`),l.h2,t),F(l.h2,this.w(`${p}.mlp.up.weight`),l.up,t,4*o,o);for(let u=0;u<t*4*o;u++)l.act[u]=l.up[u]>0?l.up[u]*l.up[u]:0;let M=g+1<h?this.layers[g+1].x:this.last;F(l.act,this.w(`${p}.mlp.down.weight`),M,t,o,4*o);for(let u=0;u<t*o;u++)M[u]+=l.mid[u]}D(this.last,this.w("norm.weight"),this.final,t),F(this.final,r,this.logits,t,d,o)}attend(e,s,i,o,n){let h=o*n,w=1/Math.sqrt(n);e.mixed.fill(0,0,s*i*h);for(let t=0;t<s;t++)for(let d=0;d<o;d++)for(let r=0;r<i;r++){let k=(t*i+r)*3*h+d*n,c=((t*o+d)*i+r)*i,g=-1/0;for(let l=0;l<=r;l++){let M=0;for(let u=0,b=(t*i+l)*3*h+h+d*n;u<n;u++)M+=e.qkv[k+u]*e.qkv[b+u];e.att[c+l]=M*w,g=Math.max(g,e.att[c+l])}let p=0;for(let l=0;l<=r;l++)p+=e.att[c+l]=Math.exp(e.att[c+l]-g);for(let l=0;l<=r;l++){let M=e.att[c+l]/=p;for(let u=0,b=(t*i+l)*3*h+2*h+d*n,m=(t*i+r)*h+d*n;u<n;u++)e.mixed[m+u]+=M*e.qkv[b+u]}}}loss(e){let[s,i]=[this.vocabulary.length,e.length],o=0;for(let n=0;n<i;n++){let h=n*s,[w,t]=[-1/0,0];for(let d=0;d<s;d++)w=Math.max(w,this.logits[h+d]);for(let d=0;d<s;d++)t+=this.dLogits[h+d]=Math.exp(this.logits[h+d]-w);o+=Math.log(t)+w-this.logits[h+e[n]];for(let d=0;d<s;d++)this.dLogits[h+d]/=t*i;this.dLogits[h+e[n]]-=1/i}return o/i}backward(e){let{width:s,heads:i,layers:o,context:n,batch:h}=this.shape,[w,t,d]=[s/i,h*n,this.vocabulary.length];for(let b of this.grads.values())b.fill(0);let r=b=>this.grads.get(b),{dx:k,dh:c,dMid:g,dUp:p,dQkv:l}=this;c.fill(0),A(this.dLogits,this.final,this.w("embed.weight"),c,r("embed.weight"),t,d,s),k.fill(0),I(c,this.last,this.w("norm.weight"),k,r("norm.weight"),t);for(let b=o-1;b>=0;b--){let m=`blocks.${b}`,y=this.layers[b];p.fill(0),A(k,y.act,this.w(`${m}.mlp.down.weight`),p,r(`${m}.mlp.down.weight`),t,s,4*s);for(let f=0;f<t*4*s;f++)p[f]*=y.up[f]>0?2*y.up[f]:0;c.fill(0),A(p,y.h2,this.w(`${m}.mlp.up.weight`),c,r(`${m}.mlp.up.weight`),t,4*s,s),g.set(k),I(c,y.mid,this.w(`${m}.norm2.weight`),g,r(`${m}.norm2.weight`),t),c.fill(0),A(g,y.mixed,this.w(`${m}.attention.o.weight`),c,r(`${m}.attention.o.weight`),t,s,s),this.attendBack(y,c,l,h,n,i,w),c.fill(0),A(l,y.h1,this.w(`${m}.attention.qkv.weight`),c,r(`${m}.attention.qkv.weight`),t,3*s,s),k.set(g),I(c,y.x,this.w(`${m}.norm1.weight`),k,r(`${m}.norm1.weight`),t)}let[M,u]=[r("embed.weight"),r("positions.weight")];for(let b=0;b<t;b++)for(let m=0;m<s;m++)M[e[b]*s+m]+=k[b*s+m],u[b%n*s+m]+=k[b*s+m]}attendBack(e,s,i,o,n,h,w){let t=h*w,d=1/Math.sqrt(w),r=new Float32Array(n);i.fill(0);for(let k=0;k<o;k++)for(let c=0;c<h;c++)for(let g=0;g<n;g++){let p=((k*h+c)*n+g)*n,[l,M]=[(k*n+g)*t+c*w,(k*n+g)*3*t+c*w],u=0;for(let b=0;b<=g;b++){let m=(k*n+b)*3*t+2*t+c*w,y=0;for(let f=0;f<w;f++)y+=s[l+f]*e.qkv[m+f],i[m+f]+=e.att[p+b]*s[l+f];r[b]=y,u+=y*e.att[p+b]}for(let b=0;b<=g;b++){let m=e.att[p+b]*(r[b]-u)*d,y=(k*n+b)*3*t+t+c*w;for(let f=0;f<w;f++)i[M+f]+=m*e.qkv[y+f],i[y+f]+=m*e.qkv[M+f]}}}batch(e){let{context:s}=this.shape,i=e.flatMap(n=>this.ids.slice(n,n+s)),o=e.flatMap(n=>this.ids.slice(n+1,n+s+1));return{ids:i,targets:o}}train({lr:e,clip:s,warmup:i}){let{ids:o,targets:n}=this.batch(this.starts(this.step));this.forward(o,this.shape.batch,this.shape.context);let h=this.loss(n);this.backward(o);let w=0;for(let l of this.grads.values())for(let M=0;M<l.length;M++)w+=l[M]*l[M];let t=Math.sqrt(w),d=s&&t>s?s/(t+1e-6):1;this.step++;let r=e*Math.min(1,this.step/Math.max(1,i)),[k,c]=[.9,.95],[g,p]=[1-k**this.step,1-c**this.step];for(let[l,M]of this.weights){let[u,b,m]=[this.grads,this.first,this.second].map(y=>y.get(l));for(let y=0;y<M.length;y++){let f=u[y]*d;b[y]=k*b[y]+(1-k)*f,m[y]=c*m[y]+(1-c)*f*f,M[y]-=r*(b[y]/g)/(Math.sqrt(m[y]/p)+1e-8)}}return{loss:h,norm:t}}heldOut(e=2){let s=0;for(let i=0;i<e;i++){let{ids:o,targets:n}=this.batch(this.starts(i,!0));this.forward(o,this.shape.batch,this.shape.context),s+=this.loss(n)}return s/e}sample(e,s){let{context:i}=this.shape,o=this.vocabulary.length,n=this.ids.slice(this.cut,this.cut+1);for(;n.length<=e;){let h=n.slice(-i);this.forward(h,1,h.length);let w=this.logits.slice((h.length-1)*o,h.length*o).map(t=>t/s);if(!w.every(Number.isFinite))break;n.push(V(B(w),N(w),q(this.seed+3,n.length)))}return n.slice(1).map(h=>this.vocabulary[h]).join("")}};var v=null,U={lr:.003,clip:1,warmup:20},$=!1,L=0;function _(){if(!$||!v)return;let a=performance.now(),[e,s]=[[],[]],i={};for(;performance.now()-a<100&&v.step<L;){v.step%50===0&&(i.at=v.step,i.held=v.heldOut(),i.sample=v.sample(70,.8));let{loss:o,norm:n}=v.train(U);if(e.push(o),s.push(n),!Number.isFinite(o)||!Number.isFinite(n)){$=!1;break}if(v.step%50===0)break}v.step>=L&&($=!1,i.at=v.step,i.held=v.heldOut(),i.sample=v.sample(70,.8)),postMessage({step:v.step,losses:e,norms:s,running:$,milliseconds:performance.now()-a,...i}),setTimeout(_)}addEventListener("message",({data:a})=>{try{if(Object.assign(U,a.settings),a.text!==void 0&&(v=new E(a.text,{seed:a.seed}),postMessage({size:v.size,vocabulary:v.vocabulary.length,unigram:v.unigram,characters:v.ids.length})),a.running!==void 0){let e=$;$=a.running,L=a.most??L,$&&!e&&_()}}catch(e){$=!1,postMessage({error:e instanceof Error?e.message:String(e)})}});})();\n';var Z=`:host {
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
`;function i(n,e={},...o){let r=document.createElement(n);for(let[c,a]of Object.entries(e))a==null||a===!1||(typeof a=="function"?r.addEventListener(c.slice(2),a):r.setAttribute(c,a===!0?"":String(a)));return r.append(...o),r}function tt(n,e){let o=n.attachShadow({mode:"open"}),r=i("div",{class:"figure",role:"group","aria-label":e});return document.body?.dataset.jpThemeLight==="false"&&(r.style.colorScheme="dark"),o.append(i("style",{},Z),r),r}var pt=0;function et({label:n,min:e,max:o,step:r,value:c,show:a,change:d}){let u=i("span",{class:"number value","aria-hidden":"true"},a(c)),h=`slider-${++pt}`,p=i("input",{id:h,type:"range",min:e,max:o,step:r,value:c,"aria-valuetext":a(c)}),b=()=>{u.textContent=a(p.valueAsNumber),p.setAttribute("aria-valuetext",a(p.valueAsNumber))};return p.addEventListener("input",()=>{b(),d(p.valueAsNumber)}),{element:i("label",{class:"slider",for:h},i("span",{},n),u,p),input:p,set(f){p.valueAsNumber=f,b()}}}var rt=`.row > .slider {
  flex: 1 1 10rem;
}

label > textarea {
  font-size: 15px;
  margin-top: 0.2rem;
}

input[type="file"] {
  font-size: 13.5px;
  max-width: 100%;
  min-width: 0;
}

.tick {
  cursor: pointer;
  gap: 0.4rem;
}

.tick input {
  height: 1rem;
  margin: 0;
  width: 1rem;
}

.facts {
  min-height: 3em;
}

.chart {
  overflow: hidden;
}

.chart svg {
  display: block;
}

::file-selector-button {
  background: var(--ground);
  border: 1px solid var(--muted);
  border-radius: 0.3rem;
  color: inherit;
  cursor: pointer;
  font: inherit;
  margin-right: 0.6rem;
  padding: 0.2rem 0.7rem;
}

text {
  fill: var(--muted);
  font-size: 13px;
  font-variant-numeric: tabular-nums;
}

text.tick {
  text-anchor: end;
}

text.name {
  fill: var(--muted);
  paint-order: stroke;
  stroke: var(--ground);
  stroke-width: 4px;
  text-anchor: end;
}

text.held-name {
  fill: var(--orange);
  paint-order: stroke;
  stroke: var(--ground);
  stroke-width: 4px;
}

.rule {
  stroke: var(--line);
}

.known {
  stroke: var(--green);
  stroke-dasharray: 5 4;
}

.curve {
  fill: none;
  stroke: var(--blue);
  stroke-linejoin: round;
  stroke-width: 1.6;
}

.held {
  fill: var(--orange);
}

.said {
  min-height: 1.5em;
}

.samples {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  font: 13.5px/1.6 var(--course-mono, ui-monospace, "Noto Sans Mono CJK SC", monospace);
  height: 10.5rem;
  list-style: none;
  margin: 0.3rem 0 0;
  overflow: auto;
  overflow-wrap: anywhere;
  padding: 0.4rem 0.6rem;
}

.samples li + li {
  border-top: 1px solid var(--line);
}

@container (max-width: 520px) {
  .facts {
    min-height: 4.5em;
  }

  .said {
    min-height: 3em;
  }
}
`;var y=1e3,B=[1e-4,3e-4,.001,.003,.01,.03,.1,.3,1],wt=640,bt="http://www.w3.org/2000/svg",[vt,xt]=[190,80];function x(n,e={},...o){let r=document.createElementNS(bt,n);for(let[c,a]of Object.entries(e))r.setAttribute(c,String(a));return r.append(...o),r}function kt({model:n,el:e}){let o=n.get("options")??{},r=tt(e,"Train here: a small GPT learns the characters of a text in your browser"),c=null,a=o.seed??1,[d,u]=[!1,!0],h=[],p=[],b=[],f=null,[F,S]=[0,0],j={lr:.003,clip:1,warmup:20},O=i("button",{type:"button",class:"main",onclick:st},"Train"),I=i("button",{type:"button",disabled:!0,onclick:N},"Start again"),it=et({label:"Learning rate",min:0,max:B.length-1,step:1,value:3,show:t=>String(B[t]),change:t=>z({settings:{lr:j.lr=B[t]}})}),W=i("input",{type:"checkbox",checked:!0,onchange:()=>z({settings:{clip:j.clip=W.checked?1:0}})}),U=i("textarea",{rows:2,spellcheck:"false",placeholder:"Paste a text here; without one the course's tales are learned.",oninput:N}),D=i("input",{type:"file",accept:".txt,text/plain","aria-label":"or a text file",onchange:async()=>{let t=D.files?.[0];t&&(U.value=(await t.slice(0,2e6).text()).slice(0,1e6),N())}}),C=i("p",{class:"small muted facts"},"Nothing is loaded, and no text leaves this page."),q=i("p",{class:"said small",role:"status"}),T=i("div",{class:"chart"}),_=i("div",{class:"chart"}),L=i("ol",{class:"samples",tabindex:0,"aria-label":"What the model writes, the newest first"});r.append(i("style",{},rt),i("div",{class:"stack"},i("div",{class:"row"},O,I,it.element,i("label",{class:"row small tick"},W,"clip gradients at 1")),i("label",{class:"small"},`Your own text, ${wt} characters or more`,U),D,C,i("div",{},i("p",{class:"title"},"Loss, nats a character"),T),i("div",{},i("p",{class:"title"},"Length of the gradient, before clipping"),_),q,i("div",{},i("p",{class:"title"},"What it writes"),L))),v(),new ResizeObserver(()=>v()).observe(r);function z(t){c?.postMessage(t)}function N(){c?.terminate(),c=null,S++,[d,u,F,f]=[!1,!0,0,null],[h,p,b]=[[],[],[]],L.replaceChildren(),C.textContent="Nothing is loaded, and no text leaves this page.",k(""),v()}function k(t,s=!1){q.textContent=t,q.classList.toggle("warn",s)}async function st(){if(!u)return d=!d,z({running:d,most:y,settings:j}),v();let t=++S;[u,d]=[!1,!0],v();try{let s=U.value||new TextDecoder().decode(Q(await Y(n,"stories.txt")));if(t!==S)return;let m=URL.createObjectURL(new Blob([X],{type:"text/javascript"}));c=new Worker(m),URL.revokeObjectURL(m),c.onmessage=({data:A})=>t===S&&nt(A),z({text:s,seed:a,running:!0,most:y,settings:j})}catch(s){[u,d]=[!0,!1],k(`The text could not be loaded: ${s.message}. Train again to try again, or paste one.`,!0),v()}}function nt(t){if(t.error)return N(),k(`This cannot be learned: ${t.error}.`,!0);if(t.size)return f=t,v();if(t.held!==void 0&&b.push([t.at,t.held]),h.push(...t.losses),p.push(...t.norms),F+=t.milliseconds,t.sample!==void 0){let m=b[b.length-1][0];for(L.prepend(i("li",{},i("span",{class:"muted"},`step ${m}, ${t.held.toFixed(2)} nats  `),t.sample));L.children.length>40;)L.lastChild?.remove()}let s=h[h.length-1];!t.running&&d?(d=!1,Number.isFinite(s)?h.length>=y&&k(`${y} steps done.`):k(`At step ${h.length} the loss is no number any more: the weights have run away. Start again with a lower rate.`,!0)):f&&h.length>30&&s>Math.log(f.vocabulary)+.3?k("The loss is above that of a model which knows nothing: this rate is too high.",!0):q.classList.contains("warn")&&d&&k(""),v()}function v(){if(O.textContent=d?"Pause":h.length?"Go on":"Train",O.disabled=h.length>=y||!d&&!Number.isFinite(h[h.length-1]??0),I.disabled=u,f){let s=h.length,m=s?h.slice(-20).reduce((A,R)=>A+R,0)/Math.min(20,s):null;C.textContent=`${f.size.toLocaleString("en")} parameters, ${f.vocabulary} characters, a text of ${f.characters.toLocaleString("en")}, a tenth of it held out. Step ${s} of ${y}${F?`, ${(1e3*s/F).toFixed(0)} a second`:""}${m===null||!Number.isFinite(m)?"":`: ${m.toFixed(2)} nats = ${(m/Math.LN2).toFixed(2)} bits a character`}.`}let t=f?Math.max(Math.log(f.vocabulary)+.6,1):4.2;T.replaceChildren(G(vt,h,[0,t],s=>s,[0,1,2,3,4,5].filter(s=>s<t),f?[[Math.log(f.vocabulary),"knows nothing"],[f.unigram,"counts letters"]]:[],b)),_.replaceChildren(G(xt,p,[-2,2],s=>Math.log10(Math.max(s,.011)),[.1,1,10],[],[]))}function G(t,s,[m,A],R,ot,at,E){let M=T.clientWidth||660,P=l=>34+(M-40)*l/y,w=l=>{let g=(R(l)-m)/(A-m);return(t-16)*(1-Math.min(1.02,Math.max(-.02,g)))+4},K=s[s.length-1],$=x("svg",{width:M,height:t,role:"img","aria-label":s.length?`${s.length} steps; now ${Number.isFinite(K)?K.toFixed(2):"no number"}`:"no steps yet"});for(let l of ot)$.append(x("line",{x1:34,x2:M-6,y1:w(l),y2:w(l),class:"rule"}),x("text",{x:28,y:w(l)+4,class:"tick"},String(l)));for(let[l,g]of at)$.append(x("line",{x1:34,x2:M-6,y1:w(l),y2:w(l),class:"known"}),x("text",{x:M-8,y:w(l)-5,class:"name"},g));let V=Math.max(1,Math.ceil(s.length/300)),H=[];for(let l=0;l<s.length;l+=V){let g=s.slice(l,l+V),J=g.reduce((lt,ht)=>lt+ht,0)/g.length;Number.isFinite(J)&&H.push(`${P(l+g.length/2).toFixed(1)},${w(J).toFixed(1)}`)}$.append(x("polyline",{points:H.join(" "),class:"curve"}));for(let[l,g]of E)Number.isFinite(g)&&$.append(x("circle",{cx:P(l),cy:w(g),r:3.2,class:"held"}));if(E.length){let[l,g]=E[E.length-1];Number.isFinite(g)&&$.append(x("text",{x:Math.min(P(l)+7,M-60),y:w(g)-8,class:"held-name"},"held out"))}return $}}var Ot={render:kt};export{Ot as default};
