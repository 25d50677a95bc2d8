function Z({data:n,size:s,crc:o}){let t;try{t=typeof n=="string"?ue(n):new Uint8Array(n)}catch{throw new Error("the file is damaged: it is no base64")}if(t.length!==s)throw new Error(`the file is cut short: ${t.length} of ${s} bytes came`);if(pe(t)!==o)throw new Error("the file is damaged: its checksum differs");return t}function ue(n){let s=atob(n),o=new Uint8Array(s.length);for(let t=0;t<s.length;t++)o[t]=s.charCodeAt(t);return o}var ge=Uint32Array.from({length:256},(n,s)=>{for(let o=0;o<8;o++)s=s&1?s>>>1^3988292384:s>>>1;return s>>>0});function pe(n){let s=-1;for(let o=0;o<n.length;o++)s=s>>>8^ge[(s^n[o])&255];return~s>>>0}function ee(n,s){return new Promise((o,t)=>{let d=(a,f)=>{if(a?.asset!==s)return;if(n.off("msg:custom",d),a.error)return t(new Error(a.error));let u=f?.[0],h=u?.buffer?u.buffer.slice(u.byteOffset,u.byteOffset+u.byteLength):u;o({data:a.base64??h,size:a.size,crc:a.crc})};n.on("msg:custom",d),n.send({want:s})})}var te='"use strict";(()=>{var tt=Uint32Array.from({length:256},(i,t)=>{for(let e=0;e<8;e++)t=t&1?t>>>1^3988292384:t>>>1;return t>>>0});function I(i){let t=-1;for(let e=0;e<i.length;e++)t=t>>>8^tt[(t^i[e])&255];return~t>>>0}var et={F32:4,I8:1};function B(i){let t=st(i),e=null;try{e=JSON.parse(t.__metadata__?.llmcourse??"null")}catch{}if(!e?.config)throw new Error("the file holds no model of this course");let r=8+Number(new DataView(i).getBigUint64(0,!0)),s=new Map;for(let[o,a]of Object.entries(t)){if(o==="__metadata__"||o.endsWith(".scale"))continue;let c=t[`${o}.scale`],n=N(i,r,o,a);s.set(o,{shape:a.shape,data:n instanceof Int8Array?nt(n,N(i,r,o,c),a.shape[1]):n})}return{tensors:s,config:e.config,extra:e.extra??{}}}function st(i){let t=new Error("the weights are damaged: their header does not read");if(i.byteLength<8)throw t;let e=Number(new DataView(i).getBigUint64(0,!0));if(e>i.byteLength-8)throw t;try{let r=JSON.parse(new TextDecoder().decode(new Uint8Array(i,8,e)));if(r&&typeof r=="object")return r;throw t}catch{throw t}}function N(i,t,e,r){let[s,o]=r?.data_offsets??[0,-1],a=r?.shape?.reduce((n,l)=>n*l,1);if(o-s!==a*et[r?.dtype]||t+o>i.byteLength)throw new Error(`the weights are damaged: ${e} is cut short`);let c=i.slice(t+s,t+o);return r.dtype==="I8"?new Int8Array(c):new Float32Array(c)}function nt(i,t,e){let r=new Float32Array(i.length);for(let s=0,o=0;s<i.length;o++){let a=t[o];for(let c=s+e;s<c;s++)r[s]=i[s]*a}return r}var V={norm:"rms",norm_place:"pre",mlp:"relu2",positions:"learned",qk_norm:!1,bias:!1,tied:!0,window:null},z=5e5;function _({width:i,layers:t,context:e},r){let s=[["embed.weight",[r,i]],["positions.weight",[e,i]]];for(let o=0;o<t;o++)s.push([`blocks.${o}.norm1.weight`,[i]],[`blocks.${o}.attention.qkv.weight`,[3*i,i]],[`blocks.${o}.attention.o.weight`,[i,i]],[`blocks.${o}.norm2.weight`,[i]],[`blocks.${o}.mlp.up.weight`,[4*i,i]],[`blocks.${o}.mlp.down.weight`,[i,4*i]]);return s.push(["norm.weight",[i]]),new Map(s)}function J({shape:i,characters:t,weights:e}){let{width:r,heads:s,layers:o,context:a}=i,c=[...e.values()].reduce((x,d)=>x+d.length,0),n=new Float32Array(c),l={},f=0;for(let[x,d]of _(i,t.length)){let p=e.get(x);n.set(p,f),l[x]={dtype:"F32",shape:d,data_offsets:[4*f,4*(f+p.length)]},f+=p.length}let y={...V,vocab_size:t.length,context:a,width:r,heads:s,kv_heads:s,layers:o,hidden:4*r,eps:1e-5},h={characters:t,crc:I(new Uint8Array(n.buffer))};l.__metadata__={llmcourse:JSON.stringify({kind:"GPT",config:y,dtype:"float32",extra:h})};let g=new TextEncoder().encode(JSON.stringify(l)),u=new Uint8Array(Math.ceil(g.length/8)*8).fill(32);u.set(g);let w=new Uint8Array(8+u.length+n.byteLength);return new DataView(w.buffer).setBigUint64(0,BigInt(u.length),!0),w.set(u,8),w.set(new Uint8Array(n.buffer),8+u.length),w.buffer}function C(i){let{tensors:t,config:e,extra:r}=B(i);for(let[n,l]of Object.entries(V))if((e[n]??l)!==l)throw new Error(`pages train models with ${n} = ${l}, this has ${e[n]}`);let s={width:e.width,heads:e.heads,layers:e.layers,context:e.context};for(let[n,l]of Object.entries(s))if(!(Number.isInteger(l)&&l>0&&l<=1024))throw new Error(`the weights are damaged: ${n} is ${l}`);if(s.width%4||s.width%s.heads)throw new Error(`pages train widths that divide by 4 and by the heads, got ${s.width} and ${s.heads}`);if((e.kv_heads??s.heads)!==s.heads||(e.hidden??4*s.width)!==4*s.width)throw new Error("pages train models with a key for every head and an MLP four times the width");let o=typeof r.characters=="string"?[...r.characters]:r.characters;if(!Array.isArray(o)||o.some(n=>typeof n!="string"))throw new Error("the file does not say its characters (extra: characters)");if(o.length!==e.vocab_size)throw new Error(`the weights are damaged: ${o.length} characters, ${e.vocab_size} tokens`);let a=new Map,c=0;for(let[n,l]of _(s,o.length)){let f=t.get(n);if(!f)throw new Error(`the weights are damaged: ${n} is missing`);if(String(f.shape)!==String(l))throw new Error(`the weights are damaged: ${n} is ${f.shape.join(" × ")}, not ${l.join(" × ")}`);if(!f.data.every(Number.isFinite))throw new Error(`the weights are damaged: ${n} holds what is no number`);c+=f.data.length,a.set(n,f.data)}if(c>z)throw new Error(`pages train ${z.toLocaleString("en")} parameters at most, this has ${c.toLocaleString("en")}`);if(r.crc!==void 0){let n=new Float32Array(c),l=0;for(let f of a.values())n.set(f,l),l+=f.length;if(I(new Uint8Array(n.buffer))!==r.crc)throw new Error("the weights are damaged: their checksum differs")}return{shape:s,characters:o,weights:a}}function P(i){let t=-1/0;for(let s=0;s<i.length;s++)i[s]>t&&(t=i[s]);let e=new Float64Array(i.length),r=0;for(let s=0;s<e.length;s++)r+=e[s]=Math.exp(i[s]-t);for(let s=0;s<e.length;s++)e[s]/=r;return e}function R(i){return Uint32Array.from({length:i.length},(e,r)=>r).sort((e,r)=>i[r]-i[e]||e-r)}function G(i){return i=Math.imul(i^i>>>16,2246822507),i=Math.imul(i^i>>>13,3266489909),(i^i>>>16)>>>0}function E(i,t){return G(G(i)+Math.imul(t+1,2654435769)|0)/2**32}function Z(i,t,e){let r=0,s=t[0];for(let o of t)if(i[o]!==0&&(s=o,r+=i[o],e<r))return o;return s}var ot={width:32,heads:4,layers:2,context:32,batch:8},D=256,H=1e-5;function F(i,t,e,r,s,o){for(let a=0;a<r;a++)for(let c=0,n=0;c<s;c++,n+=o){let l=a*o,f=0,y=0,h=0,g=0;for(let u=0;u<o;u+=4)f+=i[l+u]*t[n+u],y+=i[l+u+1]*t[n+u+1],h+=i[l+u+2]*t[n+u+2],g+=i[l+u+3]*t[n+u+3];e[a*s+c]=f+y+(h+g)}}function q(i,t,e,r,s,o,a,c){for(let n=0;n<o;n++)for(let l=0;l<a;l+=4){let[f,y,h]=[n*a+l,n*c,Math.min(4,a-l)],g=i[f],u=h>1?i[f+1]:0,w=h>2?i[f+2]:0,x=h>3?i[f+3]:0,d=l*c,p=h>1?d+c:d,b=h>2?p+c:d,m=h>3?b+c:d;for(let k=0;k<c;k++)r[y+k]+=g*e[d+k]+u*e[p+k]+(w*e[b+k]+x*e[m+k])}for(let n=0;n<a;n++)for(let l=0;l<o;l+=4){let[f,y,h]=[l*a+n,l*c,n*c],g=i[f],u=i[f+a],w=i[f+2*a],x=i[f+3*a];for(let d=0;d<c;d++)s[h+d]+=g*t[y+d]+u*t[y+c+d]+(w*t[y+2*c+d]+x*t[y+3*c+d])}}function O(i,t,e,r){let s=t.length;for(let o=0;o<r;o++){let a=0;for(let n=o*s;n<(o+1)*s;n++)a+=i[n]*i[n];let c=1/Math.sqrt(a/s+H);for(let n=0;n<s;n++)e[o*s+n]=i[o*s+n]*c*t[n]}}function U(i,t,e,r,s,o){let a=e.length;for(let c=0;c<o;c++){let[n,l]=[0,0];for(let h=0,g=c*a;h<a;h++,g++)n+=t[g]*t[g],l+=i[g]*e[h]*t[g];let f=1/Math.sqrt(n/a+H),y=l*f**3/a;for(let h=0,g=c*a;h<a;h++,g++)s[h]+=i[g]*t[g]*f,r[g]+=i[g]*e[h]*f-t[g]*y}}var L=class{constructor(t,{seed:e,shape:r=ot,from:s}){let o=s&&new Set(s.characters),a=o?[...t].filter($=>o.has($)):[...t];this.leftOut=[...t].length-a.length,s&&(r={...s.shape,batch:r.batch});let c=new Map;for(let $ of a)c.set($,(c.get($)??0)+1);let n=[...c].sort(($,M)=>M[1]-$[1]||($[0]<M[0]?-1:1)).map(([$])=>$);this.vocabulary=s?s.characters:n.length>D?[...n.slice(0,D-1),"�"]:n;let l=new Map(this.vocabulary.map(($,M)=>[$,M]));this.ids=a.map($=>l.get($)??this.vocabulary.length-1);let{context:f,batch:y,width:h,layers:g}=r;if(this.ids.length<20*f)throw new Error(`a text of ${20*f} characters at least is wanted, this has ${this.ids.length}${s?" that the model knows":""}`);this.cut=Math.floor(this.ids.length*.9),this.shape=r,this.seed=e,this.step=0;let u=this.vocabulary.length,w=0,x=()=>{let[$,M]=[E(e+1e6,w++),E(e+1e6,w++)];return Math.sqrt(-2*Math.log($+1e-12))*Math.cos(2*Math.PI*M)};this.weights=new Map;let d=.1/Math.sqrt(2*g);for(let[$,M]of _(r,u)){let j=/norm/.test($)?0:/qkv|up/.test($)?.15:/\\.(o|down)\\./.test($)?d:.1,W=M.reduce((Y,K)=>Y*K,1),X=s?.weights.get($)?.slice()??Float32Array.from({length:W},()=>j?j*x():1);this.weights.set($,X)}let p=()=>new Map([...this.weights].map(([$,M])=>[$,new Float32Array(M.length)]));this.grads=p(),this.first=p(),this.second=p(),this.size=[...this.weights.values()].reduce(($,M)=>$+M.length,0);let b=y*f,m=$=>new Float32Array(b*$),k=()=>({x:m(h),h1:m(h),qkv:m(3*h),att:new Float32Array(y*r.heads*f*f),mixed:m(h),mid:m(h),h2:m(h),up:m(4*h),act:m(4*h)});this.layers=Array.from({length:g},k),this.last=m(h),this.final=m(h),this.logits=m(u),this.dLogits=m(u),this.dx=m(h),this.dh=m(h),this.dMid=m(h),this.dUp=m(4*h),this.dQkv=m(3*h)}get unigram(){let t=new Float64Array(this.vocabulary.length);for(let e=0;e<this.cut;e++)t[this.ids[e]]++;return t.reduce((e,r)=>r?e-r/this.cut*Math.log(r/this.cut):e,0)}starts(t,e=!1){let{batch:r,context:s}=this.shape,[o,a]=e?[this.cut,this.ids.length]:[0,this.cut];return Array.from({length:r},(c,n)=>o+Math.floor(E(this.seed+(e?7:0),t*r+n)*(a-o-s-1)))}w(t){return this.weights.get(t)}forward(t,e,r){let{width:s,heads:o,layers:a}=this.shape,[c,n,l]=[s/o,e*r,this.vocabulary.length],[f,y]=[this.w("embed.weight"),this.w("positions.weight")],h=this.layers[0].x;for(let g=0;g<n;g++)for(let u=0;u<s;u++)h[g*s+u]=f[t[g]*s+u]+y[g%r*s+u];for(let g=0;g<a;g++){let u=`blocks.${g}`,w=this.layers[g];O(w.x,this.w(`${u}.norm1.weight`),w.h1,n),F(w.h1,this.w(`${u}.attention.qkv.weight`),w.qkv,n,3*s,s),this.attend(w,e,r,o,c),F(w.mixed,this.w(`${u}.attention.o.weight`),w.mid,n,s,s);for(let d=0;d<n*s;d++)w.mid[d]+=w.x[d];O(w.mid,this.w(`${u}.norm2.weight`),w.h2,n),F(w.h2,this.w(`${u}.mlp.up.weight`),w.up,n,4*s,s);for(let d=0;d<n*4*s;d++)w.act[d]=w.up[d]>0?w.up[d]*w.up[d]:0;let x=g+1<a?this.layers[g+1].x:this.last;F(w.act,this.w(`${u}.mlp.down.weight`),x,n,s,4*s);for(let d=0;d<n*s;d++)x[d]+=w.mid[d]}O(this.last,this.w("norm.weight"),this.final,n),F(this.final,f,this.logits,n,l,s)}attend(t,e,r,s,o){let a=s*o,c=1/Math.sqrt(o);t.mixed.fill(0,0,e*r*a);for(let n=0;n<e;n++)for(let l=0;l<s;l++)for(let f=0;f<r;f++){let y=(n*r+f)*3*a+l*o,h=((n*s+l)*r+f)*r,g=-1/0;for(let w=0;w<=f;w++){let x=0;for(let d=0,p=(n*r+w)*3*a+a+l*o;d<o;d++)x+=t.qkv[y+d]*t.qkv[p+d];t.att[h+w]=x*c,g=Math.max(g,t.att[h+w])}let u=0;for(let w=0;w<=f;w++)u+=t.att[h+w]=Math.exp(t.att[h+w]-g);for(let w=0;w<=f;w++){let x=t.att[h+w]/=u;for(let d=0,p=(n*r+w)*3*a+2*a+l*o,b=(n*r+f)*a+l*o;d<o;d++)t.mixed[b+d]+=x*t.qkv[p+d]}}}loss(t){let[e,r]=[this.vocabulary.length,t.length],s=0;for(let o=0;o<r;o++){let a=o*e,[c,n]=[-1/0,0];for(let l=0;l<e;l++)c=Math.max(c,this.logits[a+l]);for(let l=0;l<e;l++)n+=this.dLogits[a+l]=Math.exp(this.logits[a+l]-c);s+=Math.log(n)+c-this.logits[a+t[o]];for(let l=0;l<e;l++)this.dLogits[a+l]/=n*r;this.dLogits[a+t[o]]-=1/r}return s/r}backward(t){let{width:e,heads:r,layers:s,context:o,batch:a}=this.shape,[c,n,l]=[e/r,a*o,this.vocabulary.length];for(let p of this.grads.values())p.fill(0);let f=p=>this.grads.get(p),{dx:y,dh:h,dMid:g,dUp:u,dQkv:w}=this;h.fill(0),q(this.dLogits,this.final,this.w("embed.weight"),h,f("embed.weight"),n,l,e),y.fill(0),U(h,this.last,this.w("norm.weight"),y,f("norm.weight"),n);for(let p=s-1;p>=0;p--){let b=`blocks.${p}`,m=this.layers[p];u.fill(0),q(y,m.act,this.w(`${b}.mlp.down.weight`),u,f(`${b}.mlp.down.weight`),n,e,4*e);for(let k=0;k<n*4*e;k++)u[k]*=m.up[k]>0?2*m.up[k]:0;h.fill(0),q(u,m.h2,this.w(`${b}.mlp.up.weight`),h,f(`${b}.mlp.up.weight`),n,4*e,e),g.set(y),U(h,m.mid,this.w(`${b}.norm2.weight`),g,f(`${b}.norm2.weight`),n),h.fill(0),q(g,m.mixed,this.w(`${b}.attention.o.weight`),h,f(`${b}.attention.o.weight`),n,e,e),this.attendBack(m,h,w,a,o,r,c),h.fill(0),q(w,m.h1,this.w(`${b}.attention.qkv.weight`),h,f(`${b}.attention.qkv.weight`),n,3*e,e),y.set(g),U(h,m.x,this.w(`${b}.norm1.weight`),y,f(`${b}.norm1.weight`),n)}let[x,d]=[f("embed.weight"),f("positions.weight")];for(let p=0;p<n;p++)for(let b=0;b<e;b++)x[t[p]*e+b]+=y[p*e+b],d[p%o*e+b]+=y[p*e+b]}attendBack(t,e,r,s,o,a,c){let n=a*c,l=1/Math.sqrt(c),f=new Float32Array(o);r.fill(0);for(let y=0;y<s;y++)for(let h=0;h<a;h++)for(let g=0;g<o;g++){let u=((y*a+h)*o+g)*o,[w,x]=[(y*o+g)*n+h*c,(y*o+g)*3*n+h*c],d=0;for(let p=0;p<=g;p++){let b=(y*o+p)*3*n+2*n+h*c,m=0;for(let k=0;k<c;k++)m+=e[w+k]*t.qkv[b+k],r[b+k]+=t.att[u+p]*e[w+k];f[p]=m,d+=m*t.att[u+p]}for(let p=0;p<=g;p++){let b=t.att[u+p]*(f[p]-d)*l,m=(y*o+p)*3*n+n+h*c;for(let k=0;k<c;k++)r[x+k]+=b*t.qkv[m+k],r[m+k]+=b*t.qkv[x+k]}}}batch(t){let{context:e}=this.shape,r=t.flatMap(o=>this.ids.slice(o,o+e)),s=t.flatMap(o=>this.ids.slice(o+1,o+e+1));return{ids:r,targets:s}}train({lr:t,clip:e,warmup:r}){let{ids:s,targets:o}=this.batch(this.starts(this.step));this.forward(s,this.shape.batch,this.shape.context);let a=this.loss(o);this.backward(s);let c=0;for(let w of this.grads.values())for(let x=0;x<w.length;x++)c+=w[x]*w[x];let n=Math.sqrt(c),l=e&&n>e?e/(n+1e-6):1;this.step++;let f=t*Math.min(1,this.step/Math.max(1,r)),[y,h]=[.9,.95],[g,u]=[1-y**this.step,1-h**this.step];for(let[w,x]of this.weights){let[d,p,b]=[this.grads,this.first,this.second].map(m=>m.get(w));for(let m=0;m<x.length;m++){let k=d[m]*l;p[m]=y*p[m]+(1-y)*k,b[m]=h*b[m]+(1-h)*k*k,x[m]-=f*(p[m]/g)/(Math.sqrt(b[m]/u)+1e-8)}}return{loss:a,norm:n}}heldOut(t=2){let e=0;for(let r=0;r<t;r++){let{ids:s,targets:o}=this.batch(this.starts(r,!0));this.forward(s,this.shape.batch,this.shape.context),e+=this.loss(o)}return e/t}sample(t,e){let{context:r}=this.shape,s=this.vocabulary.length,o=this.ids.slice(this.cut,this.cut+1);for(;o.length<=t;){let a=o.slice(-r);this.forward(a,1,a.length);let c=this.logits.slice((a.length-1)*s,a.length*s).map(n=>n/e);if(!c.every(Number.isFinite))break;o.push(Z(P(c),R(c),E(this.seed+3,o.length)))}return o.slice(1).map(a=>this.vocabulary[a]).join("")}};var v=null,Q={lr:.003,clip:1,warmup:20},A=!1,S=0;function T(){if(!A||!v)return;let i=performance.now(),[t,e]=[[],[]],r={};for(;performance.now()-i<100&&v.step<S;){v.step%50===0&&(r.at=v.step,r.held=v.heldOut(),r.sample=v.sample(70,.8));let{loss:s,norm:o}=v.train(Q);if(t.push(s),e.push(o),!Number.isFinite(s)||!Number.isFinite(o)){A=!1;break}if(v.step%50===0)break}v.step>=S&&(A=!1,r.at=v.step,r.held=v.heldOut(),r.sample=v.sample(70,.8)),postMessage({step:v.step,losses:t,norms:e,running:A,milliseconds:performance.now()-i,...r}),setTimeout(T)}addEventListener("message",({data:i})=>{try{if(Object.assign(Q,i.settings),i.text!==void 0){let t=i.file?C(i.file):void 0;v=new L(i.text,{seed:i.seed,from:t}),postMessage({size:v.size,vocabulary:v.vocabulary.length,unigram:v.unigram,characters:v.ids.length,leftOut:v.leftOut})}if(i.wanted&&v){let t=J({shape:v.shape,characters:v.vocabulary,weights:v.weights});postMessage({file:t,step:v.step},[t])}if(i.running!==void 0){let t=A;A=i.running,S=i.most??S,A&&!t&&T()}}catch(t){A=!1,postMessage({error:t instanceof Error?t.message:String(t)})}});})();\n';var re=`:host {
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
`;function i(n,s={},...o){let t=document.createElement(n);for(let[d,a]of Object.entries(s))a==null||a===!1||(typeof a=="function"?t.addEventListener(d.slice(2),a):t.setAttribute(d,a===!0?"":String(a)));return t.append(...o),t}var be="http://www.w3.org/2000/svg";function v(n,s={},...o){let t=document.createElementNS(be,n);for(let[d,a]of Object.entries(s))t.setAttribute(d,String(a));return t.append(...o),t}function ie(n,s){let o=n.attachShadow({mode:"open"}),t=i("div",{class:"figure",role:"group","aria-label":s});return document.body?.dataset.jpThemeLight==="false"&&(t.style.colorScheme="dark"),o.append(i("style",{},re),t),t}var ve=0;function se({label:n,min:s,max:o,step:t,value:d,show:a,change:f}){let u=i("span",{class:"number value","aria-hidden":"true"},a(d)),h=`slider-${++ve}`,m=i("input",{id:h,type:"range",min:s,max:o,step:t,value:d,"aria-valuetext":a(d)}),x=()=>{u.textContent=a(m.valueAsNumber),m.setAttribute("aria-valuetext",a(m.valueAsNumber))};return m.addEventListener("input",()=>{x(),f(m.valueAsNumber)}),{element:i("label",{class:"slider",for:h},i("span",{},n),u,m),input:m,set(c){m.valueAsNumber=c,x()}}}var ne=`.row > .slider {
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
`;var $=1e3,P=[1e-4,3e-4,.001,.003,.01,.03,.1,.3,1],ye=640,[ke,$e]=[190,80];function Me({model:n,el:s}){let o=n.get("options")??{},t=ie(s,"Train here: a small GPT learns the characters of a text in your browser"),d=null,a=o.seed??1,[f,u]=[!1,!0],h=[],m=[],x=[],c=null,w=null,[S,j]=[0,0],O={lr:.003,clip:1,warmup:20},q=i("button",{type:"button",class:"main",onclick:ae},"Train"),I=i("button",{type:"button",disabled:!0,onclick:z},"Start again"),W=i("button",{type:"button",disabled:!0,onclick:()=>E({wanted:!0})},"Save the model"),oe=se({label:"Learning rate",min:0,max:P.length-1,step:1,value:3,show:e=>String(P[e]),change:e=>E({settings:{lr:O.lr=P[e]}})}),D=i("input",{type:"checkbox",checked:!0,onchange:()=>E({settings:{clip:O.clip=D.checked?1:0}})}),G=i("textarea",{rows:2,spellcheck:"false",placeholder:"Paste a text here; without one the course's tales are learned.",oninput:z}),_=i("input",{type:"file",accept:".txt,.safetensors,text/plain","aria-label":"or a file: a text, or a model that was saved",onchange:()=>V(_.files?.[0])}),T=i("p",{class:"small muted facts"}),U=i("p",{class:"said small",role:"status"}),B=i("div",{class:"chart"}),J=i("div",{class:"chart"}),L=i("ol",{class:"samples",tabindex:0,"aria-label":"What the model writes, the newest first"});t.append(i("style",{},ne),i("div",{class:"stack"},i("div",{class:"row"},q,I,oe.element,i("label",{class:"row small tick"},D,"clip gradients at 1"),W),i("label",{class:"small"},`Your own text, ${ye} characters or more`,G),_,T,i("div",{},i("p",{class:"title"},"Loss, nats a character"),B),i("div",{},i("p",{class:"title"},"Length of the gradient, before clipping"),J),U,i("div",{},i("p",{class:"title"},"What it writes"),L))),t.addEventListener("dragover",e=>e.preventDefault()),t.addEventListener("drop",e=>{e.preventDefault(),V(e.dataTransfer?.files[0])}),k(),new ResizeObserver(()=>k()).observe(t);async function V(e){if(!e)return;let{name:r}=e;if(r.endsWith(".safetensors")){if(e.size>4e6)return y(`This cannot be learned: ${r} has ${(e.size/1e6).toFixed(1)} MB, and pages take 4 MB at most.`,!0);w={...w,name:r,file:await e.arrayBuffer()}}else w={...w,name:r,text:(await e.slice(0,2e6).text()).slice(0,1e6)};z()}function E(e){d?.postMessage(e)}function z(){d?.terminate(),d=null,j++,[f,u,S,c]=[!1,!0,0,null],[h,m,x]=[[],[],[]],L.replaceChildren(),y(""),k()}function y(e,r=!1){U.textContent=e,U.classList.toggle("warn",r)}async function ae(){if(!u)return f=!f,E({running:f,most:$,settings:O}),k();let e=++j;[u,f]=[!1,!0],k();try{let r=G.value||w?.text||new TextDecoder().decode(Z(await ee(n,"stories.txt")));if(e!==j)return;let g=URL.createObjectURL(new Blob([te],{type:"text/javascript"}));d=new Worker(g),URL.revokeObjectURL(g),d.onmessage=({data:F})=>e===j&&le(F),E({text:r,seed:a,file:w?.file,running:!0,most:$,settings:O})}catch(r){[u,f]=[!0,!1],y(`The text could not be loaded: ${r.message}. Train again to try again, or paste one.`,!0),k()}}function le(e){if(e.error)return w=null,_.value="",z(),y(`This cannot be learned: ${e.error}.`,!0);if(e.file){let g=URL.createObjectURL(new Blob([e.file]));i("a",{href:g,download:`trained-here-${e.step}.safetensors`}).click(),setTimeout(()=>URL.revokeObjectURL(g),1e3);return}if(e.size)return c=e,k();if(e.held!==void 0&&x.push([e.at,e.held]),h.push(...e.losses),m.push(...e.norms),S+=e.milliseconds,e.sample!==void 0){let g=x[x.length-1][0];for(L.prepend(i("li",{},i("span",{class:"muted"},`step ${g}, ${e.held.toFixed(2)} nats  `),e.sample));L.children.length>40;)L.lastChild?.remove()}let r=h[h.length-1];!e.running&&f?(f=!1,Number.isFinite(r)?h.length>=$&&y(`${$} steps done.`):y(`At step ${h.length} the loss is no number any more: the weights have run away. Start again with a lower rate.`,!0)):c&&h.length>30&&r>Math.log(c.vocabulary)+.3?y("The loss is above that of a model which knows nothing: this rate is too high.",!0):U.classList.contains("warn")&&f&&y(""),k()}function k(){if(q.textContent=f?"Pause":h.length?"Go on":"Train",q.disabled=h.length>=$||!f&&!Number.isFinite(h[h.length-1]??0),I.disabled=u,W.disabled=!c||!h.length,!c)T.textContent=`${w?`${w.file?"A saved model":"A text"} from ${w.name} is taken.`:"Nothing is loaded."} What you give stays on this page.`;else{let r=h.length,g=r?h.slice(-20).reduce((F,C)=>F+C,0)/Math.min(20,r):null;T.textContent=`${c.size.toLocaleString("en")} parameters, ${c.vocabulary} characters, a text of ${c.characters.toLocaleString("en")}, a tenth of it held out${c.leftOut?`, ${c.leftOut.toLocaleString("en")} left out that the model does not know`:""}. Step ${r} of ${$}${S?`, ${(1e3*r/S).toFixed(0)} a second`:""}${g===null||!Number.isFinite(g)?"":`: ${g.toFixed(2)} nats = ${(g/Math.LN2).toFixed(2)} bits a character`}.`}let e=c?Math.max(Math.log(c.vocabulary)+.6,1):4.2;B.replaceChildren(H(ke,h,[0,e],r=>r,[0,1,2,3,4,5].filter(r=>r<e),c?[[Math.log(c.vocabulary),"knows nothing"],[c.unigram,"counts letters"]]:[],x)),J.replaceChildren(H($e,m,[-2,2],r=>Math.log10(Math.max(r,.011)),[.1,1,10],[],[]))}function H(e,r,[g,F],C,he,ce,N){let M=B.clientWidth||660,R=l=>34+(M-40)*l/$,b=l=>{let p=(C(l)-g)/(F-g);return(e-16)*(1-Math.min(1.02,Math.max(-.02,p)))+4},K=r[r.length-1],A=v("svg",{width:M,height:e,role:"img","aria-label":r.length?`${r.length} steps; now ${Number.isFinite(K)?K.toFixed(2):"no number"}`:"no steps yet"});for(let l of he)A.append(v("line",{x1:34,x2:M-6,y1:b(l),y2:b(l),class:"rule"}),v("text",{x:28,y:b(l)+4,class:"tick"},String(l)));for(let[l,p]of ce)A.append(v("line",{x1:34,x2:M-6,y1:b(l),y2:b(l),class:"known"}),v("text",{x:M-8,y:b(l)-5,class:"name"},p));let Q=Math.max(1,Math.ceil(r.length/300)),Y=[];for(let l=0;l<r.length;l+=Q){let p=r.slice(l,l+Q),X=p.reduce((de,fe)=>de+fe,0)/p.length;Number.isFinite(X)&&Y.push(`${R(l+p.length/2).toFixed(1)},${b(X).toFixed(1)}`)}A.append(v("polyline",{points:Y.join(" "),class:"curve"}));for(let[l,p]of N)Number.isFinite(p)&&A.append(v("circle",{cx:R(l),cy:b(p),r:3.2,class:"held"}));if(N.length){let[l,p]=N[N.length-1];Number.isFinite(p)&&A.append(v("text",{x:Math.min(R(l)+7,M-60),y:b(p)-8,class:"held-name"},"held out"))}return A}}var Te={render:Me};export{Te as default};
