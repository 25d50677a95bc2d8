var te='"use strict";(()=>{function j({data:c,size:t,crc:s}){let e;try{e=typeof c=="string"?J(c):new Uint8Array(c)}catch{throw new Error("the file is damaged: it is no base64")}if(e.length!==t)throw new Error(`the file is cut short: ${e.length} of ${t} bytes came`);if(R(e)!==s)throw new Error("the file is damaged: its checksum differs");return e}function J(c){let t=atob(c),s=new Uint8Array(t.length);for(let e=0;e<t.length;e++)s[e]=t.charCodeAt(e);return s}var V=Uint32Array.from({length:256},(c,t)=>{for(let s=0;s<8;s++)t=t&1?t>>>1^3988292384:t>>>1;return t>>>0});function R(c){let t=-1;for(let s=0;s<c.length;s++)t=t>>>8^V[(t^c[s])&255];return~t>>>0}function M(c,t,s,e,r){let o=r&-4;for(let n=0,i=0;n<e;n++,i+=r){let a=0,h=0,l=0,g=0;for(let f=0;f<o;f+=4)a+=c[i+f]*t[f],h+=c[i+f+1]*t[f+1],l+=c[i+f+2]*t[f+2],g+=c[i+f+3]*t[f+3];for(let f=o;f<r;f++)a+=c[i+f]*t[f];s[n]=a+h+(l+g)}}function A(c,t,s,e,r,o,n,i){let a=0;for(let l=0;l<s;l++)a+=c[t+l]*c[t+l];let h=1/Math.sqrt(a/s+o);for(let l=0;l<s;l++)n[i+l]=c[t+l]*h*e[r+l]}var _=class{constructor(t,s){let e={norm:"rms",norm_place:"pre",mlp:"swiglu",positions:"rope",rope_layout:"half",rope_scale:1,tied:!0,qk_norm:!0,bias:!1,window:null};for(let[a,h]of Object.entries(e))if(s[a]!==h)throw new Error(`pages run models with ${a} = ${h}, got ${s[a]}`);this.config=s,this.width=s.width,this.heads=s.heads,this.groups=s.kv_heads,this.key=s.width/s.heads;let r=a=>{let h=t.get(a);if(!h)throw new Error(`the weights are damaged: ${a} is missing`);return h.data};this.embed=r("embed.weight"),this.norm=r("norm.weight"),this.blocks=Array.from({length:s.layers},(a,h)=>({norm1:r(`blocks.${h}.norm1.weight`),qkv:r(`blocks.${h}.attention.qkv.weight`),gain:r(`blocks.${h}.attention.gain`),o:r(`blocks.${h}.attention.o.weight`),norm2:r(`blocks.${h}.norm2.weight`),gate:r(`blocks.${h}.mlp.gate.weight`),up:r(`blocks.${h}.mlp.up.weight`),down:r(`blocks.${h}.mlp.down.weight`)}));let o=this.key/2;this.cos=new Float32Array(s.context*o),this.sin=new Float32Array(s.context*o);for(let a=0;a<s.context;a++)for(let h=0;h<o;h++){let l=Math.fround(a*Math.fround(s.rope_theta**(-2*h/this.key)));this.cos[a*o+h]=Math.cos(l),this.sin[a*o+h]=Math.sin(l)}let n=a=>new Float32Array(a),i=this.groups*this.key;this.keys=this.blocks.map(()=>n(s.context*i)),this.values=this.blocks.map(()=>n(s.context*i)),this.used=0,this.work=0,this.read=0,this.x=n(this.width),this.h=n(this.width),this.qkv=n((this.heads+2*this.groups)*this.key),this.mixed=n(this.width),this.gateOut=n(s.hidden),this.upOut=n(s.hidden),this.scores=n(s.context),this.logits=n(s.vocab_size)}truncate(t){this.used=Math.min(this.used,t)}push(t,s=!0){let{width:e,heads:r,groups:o,key:n,config:i,x:a,h}=this;if(this.used>=i.context)throw new Error(`the model reads ${i.context} tokens at most`);if(!(t>=0&&t<i.vocab_size))throw new Error(`no token has the id ${t}`);a.set(this.embed.subarray(t*e,(t+1)*e)),this.blocks.forEach((g,f)=>{A(a,0,e,g.norm1,0,i.eps,h,0),this.attend(g,f),M(g.o,this.mixed,h,e,r*n);for(let u=0;u<e;u++)a[u]+=h[u];A(a,0,e,g.norm2,0,i.eps,h,0),M(g.gate,h,this.gateOut,i.hidden,e),M(g.up,h,this.upOut,i.hidden,e);for(let u=0;u<i.hidden;u++){let k=this.gateOut[u];this.upOut[u]*=k/(1+Math.exp(-k))}M(g.down,this.upOut,h,e,i.hidden);for(let u=0;u<e;u++)a[u]+=h[u]}),this.used++,this.read++;let l=e*((r+2*o)*n+r*n+3*i.hidden);return this.work+=this.blocks.length*(l+2*r*n*this.used),s&&(A(a,0,e,this.norm,0,i.eps,h,0),M(this.embed,h,this.logits,i.vocab_size,e),this.work+=i.vocab_size*e),this.logits}attend(t,s){let{heads:e,groups:r,key:o,qkv:n,mixed:i,scores:a}=this,[h,l]=[this.used,o/2],[g,f,u]=[this.keys[s],this.values[s],r*o];M(t.qkv,this.h,n,(e+2*r)*o,this.width);for(let p=0;p<e+r;p++){A(n,p*o,o,t.gain,p*o,this.config.eps,n,p*o);for(let w=0;w<l;w++){let[v,b]=[this.cos[h*l+w],this.sin[h*l+w]],[E,m]=[n[p*o+w],n[p*o+w+l]];n[p*o+w]=E*v-m*b,n[p*o+w+l]=m*v+E*b}}g.set(n.subarray(e*o,(e+r)*o),h*u),f.set(n.subarray((e+r)*o),h*u);let k=1/Math.sqrt(o);for(let p=0;p<e;p++){let w=p*o,v=Math.floor(p/(e/r))*o,b=-1/0;for(let m=0;m<=h;m++){let d=0;for(let y=0,x=m*u+v;y<o;y++)d+=n[w+y]*g[x+y];a[m]=d*k,a[m]>b&&(b=a[m])}let E=0;for(let m=0;m<=h;m++)E+=a[m]=Math.exp(a[m]-b);i.fill(0,w,w+o);for(let m=0;m<=h;m++){let d=a[m]/E;for(let y=0,x=m*u+v;y<o;y++)i[w+y]+=d*f[x+y]}}}};var Z={F32:4,I8:1};function T(c){let t=Q(c),s=JSON.parse(t.__metadata__?.llmcourse??"null");if(!s?.config)throw new Error("the file holds no model of this course");let e=8+Number(new DataView(c).getBigUint64(0,!0)),r=new Map;for(let[o,n]of Object.entries(t)){if(o==="__metadata__"||o.endsWith(".scale"))continue;let i=t[`${o}.scale`],a=D(c,e,o,n);r.set(o,{shape:n.shape,data:a instanceof Int8Array?X(a,D(c,e,o,i),n.shape[1]):a})}return{tensors:r,config:s.config}}function Q(c){let t=new Error("the weights are damaged: their header does not read");if(c.byteLength<8)throw t;let s=Number(new DataView(c).getBigUint64(0,!0));if(s>c.byteLength-8)throw t;try{return JSON.parse(new TextDecoder().decode(new Uint8Array(c,8,s)))}catch{throw t}}function D(c,t,s,e){let[r,o]=e?.data_offsets??[0,-1],n=e?.shape.reduce((a,h)=>a*h,1);if(o-r!==n*Z[e?.dtype]||t+o>c.byteLength)throw new Error(`the weights are damaged: ${s} is cut short`);let i=c.slice(t+r,t+o);return e.dtype==="I8"?new Int8Array(i):new Float32Array(i)}function X(c,t,s){let e=new Float32Array(c.length);for(let r=0,o=0;r<c.length;o++){let n=t[o];for(let i=r+s;r<i;r++)e[r]=c[r]*n}return e}function O(c){let t=-1/0;for(let r=0;r<c.length;r++)c[r]>t&&(t=c[r]);let s=new Float64Array(c.length),e=0;for(let r=0;r<s.length;r++)e+=s[r]=Math.exp(c[r]-t);for(let r=0;r<s.length;r++)s[r]/=e;return s}function Y(c){return Uint32Array.from({length:c.length},(s,e)=>e).sort((s,e)=>c[e]-c[s]||s-e)}function q(c,{temperature:t,topK:s,topP:e}){if(!(Number.isFinite(t)&&t>=0))throw new Error(`temperature must be finite and at least 0, got ${t}`);if(!(Number.isInteger(s)&&s>=0))throw new Error(`top-k must be a whole number of at least 1, or 0 for all, got ${s}`);if(!(e>0&&e<=1))throw new Error(`top-p must be above 0 and at most 1, got ${e}`);let r=Y(c),o=c[r[0]],n=Float64Array.from(c);for(let h=0;h<n.length;h++)t===0?n[h]=h===r[0]?0:-1/0:t!==1&&(n[h]=(n[h]-o)/t);let i=O(n);if(s)for(let h of r.subarray(s))n[h]=-1/0;let a=O(n);if(e<1){let h=0;r.forEach((l,g)=>{let f=a[l];g&&h>=e&&(n[l]=-1/0),h+=f})}return{order:r,plain:O(c),heated:i,k:a,p:O(n)}}function W(c){return c=Math.imul(c^c>>>16,2246822507),c=Math.imul(c^c>>>13,3266489909),(c^c>>>16)>>>0}function F(c,t){return W(W(c)+Math.imul(t+1,2654435769)|0)/2**32}function U(c,t,s){let e=0,r=t[0];for(let o of t)if(c[o]!==0&&(r=o,e+=c[o],s<e))return o;return r}var[$,K,P,L]=[0,1,2,3],C=/^\\p{L}$/u,G=(c,t)=>t>0&&t<c.length&&C.test(c[t-1])&&C.test(c[t])&&c[t]<"ɐ",I=class{constructor(t){this.special=t.special,this.firstByte=t.special.length,this.firstWord=this.firstByte+256,this.surfaces=[...new Set(Object.values(t.words).flat())],this.size=this.firstWord+this.surfaces.length;let s=new Set(t.words.en);this.written=[[],[],[],[]];for(let e of this.surfaces){let r=s.has(e)?e[0].toUpperCase()+e.slice(1):e,o=s.has(e)&&!t.closing.includes(e)?" ":"";[r,o+e,o+r,e].forEach((n,i)=>this.written[i].push(n))}this.after=this.surfaces.map(e=>t.stops.includes(e)?P:e==="“"?$:s.has(e)?K:L),this.idOf=new Map(this.surfaces.map((e,r)=>[e,this.firstWord+r])),this.readBack=this.written.map(e=>{let r=new Map;return e.forEach((o,n)=>r.has(o)||r.set(o,n)),r}),this.sizes=this.written.map(e=>{let r=new Map;for(let o of e){let n=[...o],i=r.get(n[0])??[];i.includes(n.length)||i.push(n.length),r.set(n[0],i)}for(let o of r.values())o.sort((n,i)=>i-n);return r})}encode(t){if(!t.isWellFormed?.()&&/\\p{Surrogate}/u.test(t))throw new Error("the text holds half of a character (a lone surrogate)");let s=[...t],e=new TextEncoder,r=[];for(let o=0,n=$;o<s.length;){let[i,a]=this.longest(s,o,n);if(i)r.push(this.firstWord+a),n=this.after[a],o+=i;else{for(let h of e.encode(s[o]))r.push(this.firstByte+h);n=s[o]===`\n`?$:L,o++}}return r}longest(t,s,e){let r=this.sizes[e].get(t[s]);if(!r||G(t,s))return[0,-1];for(let o of r){if(s+o>t.length)continue;let n=this.readBack[e].get(t.slice(s,s+o).join(""));if(n!==void 0&&!G(t,s+o))return[o,n]}return[0,-1]}pieces(t){let s=$;return t.map(e=>{if(e<this.firstByte)return s=$,this.special[e];if(e<this.firstWord)return s=e===this.firstByte+10?$:L,e-this.firstByte;let r=this.written[s][e-this.firstWord];return s=this.after[e-this.firstWord],r})}word(t){return this.surfaces[t-this.firstWord]??""}},z=c=>{let t=0;for(let s of c)t+=s;return t},H=c=>c===c.toUpperCase()&&c!==c.toLowerCase(),S=class{constructor(t,s){this.tales=t,this.grammar=t.grammar,this.language=s,this.readings=[],this.state={stage:this.grammar.start,decided:{},bound:{}},this.begin(this.state)}get done(){return this.state.stage==="END"}begin(t){if(this.state=t,this.readings=[],!this.done)for(let[s,e]of this.frames(t)){let r={...t.decided,...e.sets},o={};for(let[n,i]of e.draws){let[a,h]=i.split("@");o[n]=h?`${a}-${r[h]}`:a}for(let[n,i]of this.variants(e,t,o)){let a={weight:s*n,frame:e,classes:o,slots:i,at:0,within:[],fills:{}};this.open(a),this.readings.push(a)}}}frames({stage:t,decided:s}){let{holdout:e,values:r}=this.grammar,o=[];for(let i of this.grammar.stages[t]){if(Object.entries(i.when).some(([h,l])=>!l.includes(s[h])))continue;let a=i.w;for(let[h,l]of Object.entries(i.factors))a*=l[s[h]]??1;for(let[h,l]of e){if(!(l in i.sets))continue;let g=r[l],f=g[r[h].indexOf(s[h])%g.length];i.sets[l]===f&&(a=0)}a&&o.push([a,i])}let n=z(o.map(([i])=>i));return o.map(([i,a])=>[i/n,a])}allowed(t,s,{bound:e}){let r=this.grammar.classes[s].rows.map((n,i)=>i);for(let[n,i]of this.grammar.holdout)if(t===i&&e[n])return r.filter(a=>a!==e[n][1]%r.length);if(!H(t))return r;let o=Object.values(e).filter(([n])=>n===s).map(([,n])=>n);return r.filter(n=>!o.includes(n))}variants(t,s,e){let r={};for(let[n,i]of Object.entries(e))r[n]=this.allowed(n,i,s);let o=[[1,r]];for(let n of t.t[this.language]){if(typeof n=="string"||!n.o||!(n.o in r))continue;let i=n.o,a=n.f==="m"?"m":n.f==="ta"||n.f in this.tales.pronouns?"g":"";if(!a)continue;let h=this.grammar.classes[e[i]];o=o.flatMap(([l,g])=>{let f=new Map;for(let k of g[i]){let p=h.rows[k][a];f.set(p,[...f.get(p)??[],k])}let u=z(g[i].map(k=>h.weights[k]));return[...f.values()].map(k=>{let p=z(k.map(w=>h.weights[w]))/u;return[l*p,{...g,[i]:k}]})})}return o}spoken(t,s){if(typeof t=="string")return[t];let{classes:e}=this.grammar,r=i=>e[s[i][0]].rows[s[i][1]];if(t.f==="draw"||t.f==="recall"){let i=t.d?`${t.d}_${this.language}`:this.language,a=r(t.f==="draw"?t.k:t.o)[i].flatMap(h=>this.spoken(h,s));return t.a&&this.language==="en"&&a.unshift(this.article(a[0])),a}let o=r(t.o);if(t.f==="m")return[o.m];let n=o.g==="f";return t.f==="they"?[n&&r(t.b).g==="f"?"她们":"他们"]:t.f==="ta"?[n?"她":"他"]:[this.tales.pronouns[t.f][n?0:1]]}article(t){return"aeiou".includes(t[0])||this.grammar.vowels.includes(t)?"an":"a"}trie(t,s,e){let{weights:r}=this.grammar.classes[s],o=z(e.map(i=>r[i])),n=new Map;for(let i of e){let a=this.spoken(t,{[t.k??""]:[s,i]}),h=n;a.forEach((l,g)=>{let f=g===a.length-1,u=h.get(l)??[0,f?null:new Map,f?i:-1];u[0]+=r[i]/o,h.set(l,u),h=u[1]??h})}return n}open(t){let s=t.frame.t[this.language][t.at];if(typeof s!="string"&&s.f==="draw"){let r=s.k;t.within=this.trie(s,t.classes[r],t.slots[r]);return}let e={...this.state.bound,...t.fills};typeof s!="string"&&s.o&&!e[s.o]&&t.slots[s.o]&&(e[s.o]=[t.classes[s.o],t.slots[s.o][0]]),t.within=this.spoken(s,e)}next(){let t=new Map,s=z(this.readings.map(r=>r.weight)),e=(r,o)=>t.set(r,(t.get(r)??0)+o/s);for(let r of this.readings)if(Array.isArray(r.within))e(r.within[0],r.weight);else{let o=z([...r.within.values()].map(n=>n[0]));for(let[n,i]of r.within)e(n,r.weight*i[0]/o)}return t}read(t){if(!this.next().has(t))return!1;let s=[];for(let e of this.readings){let r;if(Array.isArray(e.within)){if(e.within[0]!==t)continue;e.within=e.within.slice(1),r=!e.within.length}else{let o=e.within.get(t);if(!o)continue;if(e.weight*=o[0]/z([...e.within.values()].map(n=>n[0])),r=o[1]===null,o[1])e.within=o[1];else{let n=e.frame.t[this.language][e.at],i=typeof n=="string"?"":n.k;e.fills[i]=[e.classes[i],o[2]]}}if(r&&++e.at===e.frame.t[this.language].length){let o={...this.state.bound};for(let[i,a]of Object.entries(e.fills))H(i)&&(o[i]=a);let n={...this.state.decided,...e.frame.sets};return this.begin({stage:e.frame.next,decided:n,bound:o}),!0}r&&this.open(e),s.push(e)}return this.readings=s,!0}};var B=class{constructor(t,s){let{tensors:e,config:r}=T(t);if(this.tales=s,this.tokenizer=new I(s),this.tokenizer.size!==r.vocab_size)throw new Error(`model and tokenizer differ: ${r.vocab_size}, ${this.tokenizer.size} tokens`);this.model=new _(e,r),this.held=[],this.place=null}get end(){return this.tokenizer.special.indexOf("<|end|>")}mark(t){return this.tokenizer.special.indexOf(`<|${t}|>`)}logits(t){let s=0;for(;s<t.length-1&&s<this.held.length&&t[s]===this.held[s];)s++;this.model.truncate(s),this.held=t.slice();let e=this.model.logits;for(let r=s;r<t.length;r++)e=this.model.push(t[r],r===t.length-1);return e}truth(t,s){let e=this.place;(e?.language!==t||e.ids.some((r,o)=>s[o]!==r))&&(e={language:t,ids:[],cursor:new S(this.tales,t)});for(let r=e.ids.length;r<s.length;r++){let o=s[r]===this.end?this.tales.grammar.end:this.tokenizer.word(s[r]);if(!e.cursor.read(o))return this.place=e,{cursor:null,offAt:r};e.ids.push(s[r])}return this.place=e,{cursor:e.cursor,offAt:null}}step({language:t,ids:s,choice:e,seed:r,top:o=10,also:n=[]}){let i=this.logits([this.mark(t),...s]),a=q(i,e),{cursor:h,offAt:l}=this.truth(t,s),g=F(r,s.length),f=U(a.p,a.order,g),u=null;if(h){u=new Map;for(let[d,y]of h.next()){let x=d===this.tales.grammar.end?this.end:this.tokenizer.idOf.get(d);u.set(x,y)}}let k=[...a.order.subarray(0,o)],p=d=>({id:d,text:this.label(d),logit:i[d],plain:a.plain[d],heated:a.heated[d],k:a.k[d],p:a.p[d],truth:u?u.get(d)??0:null}),w=k.map(p),v=n.filter(d=>!k.includes(d)),b=d=>Math.max(0,1-w.reduce((y,x)=>y+x[d],0)),E=w.reduce((d,y)=>d+(y.truth??0),0),m=null;if(u?.size){m=0;for(let d=0;d<a.p.length;d++)m+=Math.abs(a.p[d]-(u.get(d)??0))/2}return{candidates:w,also:[...new Set([...v,...k.includes(f)?[]:[f]])].map(p),rest:{plain:b("plain"),heated:b("heated"),k:b("k"),p:b("p"),truth:u?.size?Math.max(0,1-E):null},restCount:a.order.length-k.length,u:g,drawn:f,kept:a.p.reduce((d,y)=>d+(y>0?1:0),0),possible:u?.size?u.size:null,offAt:l,distance:m,ended:s[s.length-1]===this.end}}label(t){let{firstByte:s,firstWord:e,special:r}=this.tokenizer;return t<s?r[t]==="<|end|>"?"end of story":r[t]:t<e?`byte ${(t-s).toString(16).toUpperCase().padStart(2,"0")}`:this.tokenizer.word(t)}tokenize({text:t}){let s=this.tokenizer.encode(t);return{ids:s,pieces:this.tokenizer.pieces(s)}}read({language:t,ids:s}){let{offAt:e}=this.truth(t,s);return{pieces:this.tokenizer.pieces(s),offAt:e}}generate({language:t,ids:s,choice:e,seed:r,most:o}){let n=s.slice(),i=performance.now(),a=0;for(;n.length<s.length+o&&n[n.length-1]!==this.end;){let h=q(this.logits([this.mark(t),...n]),e);n.push(U(h.p,h.order,F(r,n.length))),a||=performance.now()-i}return{ids:n.slice(s.length),first:a,milliseconds:performance.now()-i}}allLogits({ids:t}){return this.held=[],this.model.truncate(0),t.map(s=>Array.from(this.model.push(s)))}greedy({ids:t,cached:s}){s||(this.held=[]);let{work:e,read:r}=this.model,o=performance.now(),n=this.logits(t),i=0;for(let a=1;a<n.length;a++)n[a]>n[i]&&(i=a);return{id:i,work:this.model.work-e,read:this.model.read-r,milliseconds:performance.now()-o}}trueNext({language:t,ids:s}){let{cursor:e,offAt:r}=this.truth(t,s);return{next:e?[...e.next()]:null,offAt:r}}};var N=null;function tt({weights:c,tales:t}){let s=JSON.parse(new TextDecoder().decode(j(t)));N=new B(j(c).buffer,s);let{config:e}=N.model;return{config:e,parameters:N.model.embed.length}}addEventListener("message",({data:{id:c,method:t,asked:s}})=>{try{let e=t==="load"?tt(s):N[t](s);postMessage({id:c,result:e})}catch(e){postMessage({id:c,error:e instanceof Error?e.message:String(e)})}});})();\n';var Y=Symbol.for("llmcourse.runtime"),V=globalThis;function re(c,b){return new Promise((k,a)=>{let g=(i,n)=>{if(i?.asset!==b)return;if(c.off("msg:custom",g),i.error)return a(new Error(i.error));let p=n?.[0],o=p?.buffer?p.buffer.slice(p.byteOffset,p.byteOffset+p.byteLength):p;k({data:i.base64??o,size:i.size,crc:i.crc})};c.on("msg:custom",g),c.send({want:b})})}function se(c){return V[Y]??=ve(c).catch(b=>{throw delete V[Y],b}),V[Y]}async function ve(c){let[b,k]=await Promise.all([re(c,"model.safetensors"),re(c,"tales.json")]),a=URL.createObjectURL(new Blob([te],{type:"text/javascript"})),g=new Worker(a);URL.revokeObjectURL(a);let i=new Map,n=0;g.addEventListener("message",({data:{id:o,result:s,error:y}})=>{let m=i.get(o);i.delete(o),y===void 0?m?.resolve(s):m?.reject(new Error(y))});let p=(o,s)=>new Promise((y,m)=>{i.set(++n,{resolve:y,reject:m}),g.postMessage({id:n,method:o,asked:s})});try{await p("load",{weights:b,tales:k})}catch(o){throw g.terminate(),o}return new Proxy({},{get:(o,s)=>s==="then"?void 0:y=>p(String(s),y)})}var ne=`:host {
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
`;function t(c,b={},...k){let a=document.createElement(c);for(let[g,i]of Object.entries(b))i==null||i===!1||(typeof i=="function"?a.addEventListener(g.slice(2),i):a.setAttribute(g,i===!0?"":String(i)));return a.append(...k),a}function oe(c,b){let k=c.attachShadow({mode:"open"}),a=t("div",{class:"figure",role:"group","aria-label":b});return document.body?.dataset.jpThemeLight==="false"&&(a.style.colorScheme="dark"),k.append(t("style",{},ne),a),a}function C(c){return c===null?"–":c===0?"0":c<5e-4?"< 0.1 %":`${(100*c).toFixed(1)} %`}var ze=0;function U({label:c,min:b,max:k,step:a,value:g,show:i,change:n}){let p=t("span",{class:"number value","aria-hidden":"true"},i(g)),o=`slider-${++ze}`,s=t("input",{id:o,type:"range",min:b,max:k,step:a,value:g,"aria-valuetext":i(g)}),y=()=>{p.textContent=i(s.valueAsNumber),s.setAttribute("aria-valuetext",i(s.valueAsNumber))};return s.addEventListener("input",()=>{y(),n(s.valueAsNumber)}),{element:t("label",{class:"slider",for:o},t("span",{},c),p,s),input:s,set(m){s.valueAsNumber=m,y()}}}function ie({label:c,name:b,choices:k,value:a,change:g}){return t("fieldset",{class:"choose"},t("legend",{class:"hidden"},c),...k.map(([i,n])=>t("label",{},t("input",{type:"radio",name:b,value:i,checked:i===a,onchange:()=>g(i)}),t("span",{lang:i==="zh"?"zh":null},n))))}var ae=`.tight {
  gap: 0.5rem;
}

.seed {
  width: 6rem;
}

.sliders {
  gap: 0.6rem 1.4rem;
}

label > textarea {
  font-size: 16px;
  margin-top: 0.2rem;
}

.story {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  font: 1.1rem / 1.75 var(--course-serif, Georgia, "Noto Serif CJK SC", serif);
  height: 11.5rem;
  overflow: auto;
  padding: 0.5rem 0.7rem;
}

.story .piece {
  background: none;
  border-bottom-color: transparent;
  margin: 0;
  padding: 0.1rem 0;
}

.story .piece.model {
  border-bottom-color: color-mix(in srgb, var(--blue) 45%, transparent);
}

.story .piece.hex {
  font-size: 0.75em;
  padding: 0.1rem 0.2rem;
}

.story .piece.here {
  background: color-mix(in srgb, var(--orange) 24%, var(--ground));
}

.story .piece.off {
  text-decoration: underline wavy var(--orange);
}

.said {
  margin-top: 0.4rem;
}

.strips {
  display: grid;
  gap: 3px;
}

.strip {
  align-items: center;
  display: grid;
  gap: 0 0.6rem;
  grid-template-columns: 6.4rem minmax(0, 1fr);
}

.bar {
  overflow: clip visible; /* the mark of the luck may stand at an end */
  background: var(--surface);
  border-radius: 2px;
  display: flex;
  height: 1.55rem;
  position: relative;
}

.part {
  background: color-mix(in srgb, var(--blue) 28%, var(--ground));
  border-right: 1px solid var(--ground);
  flex: none;
  font-size: 13px;
  line-height: 1.55rem;
  min-width: 0;
  overflow: hidden;
  text-align: center;
  text-overflow: ellipsis;
  white-space: nowrap;
}

.part:nth-child(even) {
  background: color-mix(in srgb, var(--blue) 18%, var(--ground));
}

.truth .part {
  background: color-mix(in srgb, var(--green) 28%, var(--ground));
}

.truth .part:nth-child(even) {
  background: color-mix(in srgb, var(--green) 18%, var(--ground));
}

.bar .part.others {
  background: repeating-linear-gradient(
    135deg,
    color-mix(in srgb, var(--grey) 20%, var(--ground)) 0 5px,
    var(--ground) 5px 9px
  );
  color: transparent;
}

.bar .part.here {
  box-shadow: inset 0 -3px var(--orange);
}

.luck {
  background: linear-gradient(var(--orange) 0 0) center / 2px 100% no-repeat;
  bottom: -3px;
  margin-left: -5px;
  position: absolute;
  top: -5px;
  width: 10px;
}

.luck::before {
  background: var(--orange);
  clip-path: polygon(0 0, 100% 0, 50% 100%);
  content: "";
  height: 5px;
  inset: 0 0 auto;
  position: absolute;
}

tbody th {
  border-bottom: 1px solid var(--line);
  font-weight: 400;
  padding: 0;
}

tbody tr:last-child th {
  color: var(--muted);
  font-size: 14px;
  height: 1.75rem;
  padding: 0.1rem 0.3rem;
}

.candidate th {
  position: relative;
}

.take {
  background: none;
  border: 0;
  border-radius: 0;
  display: block;
  line-height: 1.2;
  min-height: 1.75rem;
  overflow: hidden;
  padding: 0.1rem 0.3rem;
  position: relative;
  text-align: left;
  text-overflow: ellipsis;
  white-space: nowrap;
  width: 100%;
}

/* Under each token: what is drawn from, as a line; the truth, as a mark on it. The longest fills. */
.candidate th::before,
.candidate.true th::after {
  background: var(--blue);
  bottom: 0;
  content: "";
  height: 3px;
  left: 0;
  position: absolute;
  width: calc(var(--p) * 100%);
}

.candidate.true th::after {
  background: var(--green);
  bottom: -2px;
  height: 8px;
  left: calc(var(--truth) * 100% - 1px);
  width: 2px;
  z-index: 1;
}

.candidate.here .take {
  font-weight: 650;
}

.candidate.here .take::after {
  color: var(--orange);
  content: " ◂";
}

.candidate.cut :is(.take, td) {
  color: var(--muted);
}

.candidate.cut .take {
  text-decoration: line-through;
}


thead th:first-child {
  width: 46%;
}

.facts {
  min-height: 3em;
}

@container (max-width: 520px) {
  .wide {
    display: none;
  }

  .strip {
    grid-template-columns: minmax(0, 1fr);
  }

  .story {
    height: 14rem;
  }

  .said {
    min-height: 3em;
  }

  .facts {
    min-height: 4.5em;
  }
}
`;var v=10,L=[0,1,2,3,5,10,20,40,100],Q={en:"Once a baker named",zh:"从前，"},le=[["plain","model"],["heated","÷ temperature"],["k","top-k"],["p","top-p"],["truth","the language"]],Me=0;function Ee({model:c,el:b}){let k=c.get("options")??{},a=k.language==="zh"?"zh":"en",g=k.seed??1,i={temperature:1,topK:0,topP:1},n=[],p=[],o=0,s=null,y=null,m=null,j=!1,N=!1,_=!0,he=oe(b,"Playground: the course's model writes a tale, token by token"),M=t("textarea",{rows:1,spellcheck:"false",maxlength:400,oninput:F});M.value=k.prompt??Q[a],M.lang=a;let B=t("input",{class:"field seed",type:"number",min:0,max:999999,step:1,value:g,inputmode:"numeric",onchange:()=>{g=Math.max(0,Math.floor(B.valueAsNumber||0)),B.value=String(g),F()}}),P=t("button",{type:"button",class:"main",onclick:()=>E(H)},"Next token"),W=t("button",{type:"button",onclick:()=>j?T():E(ge)},"Whole story"),de=t("button",{type:"button",onclick:()=>{F(),P.focus()}},"Start again"),q=t("p",{class:"said small muted",role:"status"}),D=t("button",{type:"button",hidden:!0,onclick:()=>E(H)},"Try again"),$=t("div",{class:"pieces story",role:"toolbar","aria-label":"The tokens so far. Arrow keys move, Enter looks at one.",onkeydown:me}),I=le.map(([e,r])=>ue(e,r)),K=t("div",{class:"luck",hidden:!0});I[3].bar.append(K);let R=Array.from({length:v},(e,r)=>fe(r)),z=[t("th",{scope:"row"}),...Array.from({length:4},()=>t("td",{class:"right number"}))],X=t("p",{class:"title"},"What comes next"),Z=t("p",{class:"small muted facts"}),J=()=>{m&&O()},ce=[U({label:"Temperature",min:0,max:2,step:.05,value:1,show:e=>e===0?"0, greedy":e.toFixed(2),change:e=>{i.temperature=e,J()}}),U({label:"Top-k",min:0,max:L.length-1,step:1,value:L.length-1,show:e=>e===L.length-1?"all":String(L[e+1]),change:e=>{i.topK=e===L.length-1?0:L[e+1],J()}}),U({label:"Top-p",min:.05,max:1,step:.05,value:1,show:e=>e>.999?"all":e.toFixed(2),change:e=>{i.topP=Math.min(1,Math.round(e*100)/100),J()}})];he.append(t("style",{},ae),t("div",{class:"stack"},t("div",{class:"row spread"},ie({label:"Language",name:`language-${++Me}`,choices:[["en","English"],["zh","中文"]],value:a,change:e=>{let r=M.value===Q[a];a=e==="zh"?"zh":"en",r&&(M.value=Q[a]),M.lang=a,F()}}),t("label",{class:"row small"},"Seed",B)),t("label",{class:"small"},"The beginning, yours to change",M),t("div",{class:"row sliders"},...ce.map(e=>e.element)),t("div",{class:"row"},P,W,de,D),t("div",{},$,q),t("div",{class:"stack tight"},X,t("div",{class:"strips","aria-hidden":"true"},...I.map(e=>e.element)),t("table",{},t("caption",{class:"hidden"},"The most probable next tokens, with the model's, the filtered and the true probability"),t("thead",{},t("tr",{},t("th",{scope:"col"},"token"),t("th",{scope:"col",class:"right wide"},"logit"),t("th",{scope:"col",class:"right wide"},"model"),t("th",{scope:"col",class:"right"},"drawn from"),t("th",{scope:"col",class:"right"},"true"))),t("tbody",{},...R.map(e=>e.element),t("tr",{},...z))),Z))),z[1].classList.add("wide"),z[2].classList.add("wide"),x("The model, 2.1 MB, is loaded when you first ask for a token."),G();function ue(e,r){let l=Array.from({length:v+1},(h,d)=>t("span",{class:d===v?"part others":"part"})),f=t("div",{class:`bar ${e}`},...l);return{element:t("div",{class:"strip"},t("span",{class:"small muted"},r),f),parts:l,bar:f}}function fe(e){let r=t("button",{type:"button",class:"take",onclick:()=>E(()=>pe(e))}),l=Array.from({length:4},(h,d)=>t("td",{class:`right number${d<2?" wide":""}`}));return{element:t("tr",{class:"candidate"},t("th",{scope:"row"},r),...l),take:r,cells:l}}function F(){T(),_=!0,n=[],p=[],y=null,s=null,o=0,m?E(async()=>{}):G()}function T(){j=!1,W.textContent="Whole story"}function x(e,r=!1){q.textContent=e,q.classList.toggle("warn",r)}async function E(e){if(!N){N=!0,D.hidden=!0;try{for(m||(x("The model is being loaded …"),m=await se(c),x(""));_;){_=!1;let{ids:r}=await m.tokenize({text:M.value});n=r.map(l=>({id:l,by:"you"})),o=n.length,x(""),await O()}await e()}catch(r){T();let l=r instanceof Error?r.message:String(r);m?x(`This cannot go on: ${l}.`,!0):(D.hidden=!1,x(`The model could not be loaded: ${l}. Nothing else on this page depends on it.`,!0))}finally{N=!1}_&&m&&E(async()=>{})}}async function O(){let e=o,r=n[e],l=await m.step({language:a,choice:i,seed:g,top:v,ids:n.slice(0,e).map(d=>d.id),also:r?[r.id]:[]}),f=n.map(d=>d.id),h=await m.read({language:a,ids:f});e!==o||f.length!==n.length||([s,p,y]=[l,h.pieces,h.offAt],G())}async function H(){S()||(o!==n.length&&(o=n.length,await O()),s&&(n.push({id:s.drawn,by:"model"}),o=S()?n.length-1:n.length,await O()))}async function ge(){for(j=!0,W.textContent="Stop";j&&!S()&&!_;)await H(),await new Promise(e=>requestAnimationFrame(e));T()}async function pe(e){let r=ee()[e]?.id;r!==void 0&&(n=[...n.slice(0,o),{id:r,by:"you"}],o=S()?o:n.length,await O(),$.scrollTop=$.scrollHeight,R[0].take.focus())}function S(){return n.length>0&&n[n.length-1].id===1}function me(e){let r={ArrowLeft:-1,ArrowRight:1,Home:-1/0,End:1/0}[e.key];if(r===void 0)return;e.preventDefault();let l=[...$.querySelectorAll("button")],f=l.indexOf(e.target);l[Math.min(Math.max(f+r,0),l.length-1)]?.focus()}function ee(){if(!s)return[];let e=n[o]?.id??s.drawn,r=s.also.find(l=>l.id===e);return r?[...s.candidates.slice(0,v-1),r]:s.candidates}function G(){let e=n[o]?.id;P.disabled=S(),W.disabled=S(),$.replaceChildren(...p.length?p.flatMap(ke):[t("span",{class:"muted small"},"The text appears here. Choose a token to look back at its place, and another token to branch.")]),o>=n.length&&($.scrollTop=$.scrollHeight);for(let[h,[d]]of le.entries())we(I[h],d);K.hidden=!s,s&&(K.style.left=`${100*s.u}%`);let r=ee(),l=Math.max(...r.map(h=>Math.max(h.p,h.truth??0)),1e-9);R.forEach(({element:h,take:d,cells:w},A)=>{let u=r[A];if(h.classList.toggle("here",!!u&&u.id===(e??s?.drawn)),h.classList.toggle("cut",!!u&&u.p===0),d.disabled=!u,d.textContent=u?.text??"–",d.lang=a,u){let ye=u.id===e?", in the text":u.id===s?.drawn?", drawn next":"";d.setAttribute("aria-label",`${u.text}${ye}: continue with it`),d.title=`id ${u.id}`}else d.removeAttribute("aria-label");w[0].textContent=u?u.logit.toFixed(2).replace("-","−"):"",w[1].textContent=u?C(u.plain):"",w[2].textContent=u?C(u.p):"",w[3].textContent=u?C(u.truth):"",h.style.setProperty("--p",String((u?.p??0)/l)),h.style.setProperty("--truth",String((u?.truth??0)/l)),h.classList.toggle("true",!!u?.truth),h.dataset.p=String(u?.p??0)});let f=h=>s?.rest[h]==null?null:Math.max(0,1-r.reduce((d,w)=>d+(w[h]??0),0));z[0].textContent=s?`${s.restCount.toLocaleString("en")} others`:"others",z[2].textContent=s?C(f("plain")):"",z[3].textContent=s?C(f("p")):"",z[4].textContent=s?C(f("truth")):"",z[3].dataset.p=String(f("p")??0),X.textContent=s?e===void 0?`What comes next, at place ${o+1}`:`What could have come at place ${o+1}`:"What comes next",Z.textContent=s?be(s):"",S()&&m?x("The story ends here. Choose any token to look back, and another to branch."):s&&o<n.length?x("You look back. Choose another token below to branch here; Next token goes on at the end."):s&&!N&&x("")}function be(e){let r=e.kept===1?"one token":`${e.kept.toLocaleString("en")} of ${(e.restCount+v).toLocaleString("en")} tokens`;return e.offAt!==null?`The filters keep ${r}. From its token ${e.offAt+1} on this is no tale: the language never says it, so there is no true distribution to compare with.`:e.possible===null?`The filters keep ${r}.`:`The language allows ${e.possible===1?"one token":`${e.possible} tokens`} here; the filters keep ${r}. Distance between the two (total variation): ${(e.distance??0).toFixed(3)}.`}function we({parts:e,bar:r},l){let f=s?.candidates??[],h=n[o]?.id??s?.drawn;r.classList.toggle("none",!s||l==="truth"&&s.rest.truth===null),e.forEach((d,w)=>{let A=(w===v?s?.rest[l]:f[w]?.[l])??0;d.style.width=`${100*A}%`,d.classList.toggle("here",w<v&&!!s&&f[w]?.id===h),d.textContent=A>.09?w===v?"others":f[w]?.text??"":"",d.lang=a})}function ke(e,r){let l=typeof e=="number",f=l?e.toString(16).toUpperCase().padStart(2,"0"):e,{id:h,by:d}=n[r]??{id:0,by:"model"},w=y===r,A=t("button",{type:"button",lang:a,class:`piece ${d}${l?" hex":""}${r===o?" here":""}${w?" off":""}`,tabindex:r===Math.min(o,n.length-1)?0:-1,"aria-pressed":r===o?"true":"false",title:`id ${h}${w?": from here on this is no tale":""}`,onclick:()=>E(async()=>{T(),o=r,await O(),$.querySelectorAll("button")[r]?.focus()})},h===1?"■":f.trimStart()||f);return h===1&&A.setAttribute("aria-label","end of the story"),f.startsWith(" ")||h===1?[" ",A]:[A]}}var Ue={render:Ee};export{Ue as default};
