var Q='"use strict";(()=>{function F({data:l,size:t,crc:s}){let e;try{e=typeof l=="string"?R(l):new Uint8Array(l)}catch{throw new Error("the file is damaged: it is no base64")}if(e.length!==t)throw new Error(`the file is cut short: ${e.length} of ${t} bytes came`);if(Q(e)!==s)throw new Error("the file is damaged: its checksum differs");return e}function R(l){let t=atob(l),s=new Uint8Array(t.length);for(let e=0;e<t.length;e++)s[e]=t.charCodeAt(e);return s}var Z=Uint32Array.from({length:256},(l,t)=>{for(let s=0;s<8;s++)t=t&1?t>>>1^3988292384:t>>>1;return t>>>0});function Q(l){let t=-1;for(let s=0;s<l.length;s++)t=t>>>8^Z[(t^l[s])&255];return~t>>>0}function A(l,t,s,e,n){let o=n&-4;for(let r=0,i=0;r<e;r++,i+=n){let h=0,a=0,f=0,p=0;for(let u=0;u<o;u+=4)h+=l[i+u]*t[u],a+=l[i+u+1]*t[u+1],f+=l[i+u+2]*t[u+2],p+=l[i+u+3]*t[u+3];for(let u=o;u<n;u++)h+=l[i+u]*t[u];s[r]=h+a+(f+p)}}function O(l,t,s,e,n,o,r,i){let h=0;for(let f=0;f<s;f++)h+=l[t+f]*l[t+f];let a=1/Math.sqrt(h/s+o);for(let f=0;f<s;f++)r[i+f]=l[t+f]*a*e[n+f]}var S=class{constructor(t,s){let e={norm:"rms",norm_place:"pre",mlp:"swiglu",positions:"rope",rope_layout:"half",rope_scale:1,tied:!0,qk_norm:!0,bias:!1,window:null};for(let[h,a]of Object.entries(e))if(s[h]!==a)throw new Error(`pages run models with ${h} = ${a}, got ${s[h]}`);this.config=s,this.width=s.width,this.heads=s.heads,this.groups=s.kv_heads,this.key=s.width/s.heads;let n=h=>{let a=t.get(h);if(!a)throw new Error(`the weights are damaged: ${h} is missing`);return a.data};this.embed=n("embed.weight"),this.norm=n("norm.weight"),this.blocks=Array.from({length:s.layers},(h,a)=>({norm1:n(`blocks.${a}.norm1.weight`),qkv:n(`blocks.${a}.attention.qkv.weight`),gain:n(`blocks.${a}.attention.gain`),o:n(`blocks.${a}.attention.o.weight`),norm2:n(`blocks.${a}.norm2.weight`),gate:n(`blocks.${a}.mlp.gate.weight`),up:n(`blocks.${a}.mlp.up.weight`),down:n(`blocks.${a}.mlp.down.weight`)}));let o=this.key/2;this.cos=new Float32Array(s.context*o),this.sin=new Float32Array(s.context*o);for(let h=0;h<s.context;h++)for(let a=0;a<o;a++){let f=Math.fround(h*Math.fround(s.rope_theta**(-2*a/this.key)));this.cos[h*o+a]=Math.cos(f),this.sin[h*o+a]=Math.sin(f)}let r=h=>new Float32Array(h),i=this.groups*this.key;this.keys=this.blocks.map(()=>r(s.context*i)),this.values=this.blocks.map(()=>r(s.context*i)),this.used=0,this.probe={},this.work=0,this.read=0,this.x=r(this.width),this.h=r(this.width),this.qkv=r((this.heads+2*this.groups)*this.key),this.mixed=r(this.width),this.gateOut=r(s.hidden),this.upOut=r(s.hidden),this.scores=r(s.context),this.logits=r(s.vocab_size)}truncate(t){this.used=Math.min(this.used,t)}push(t,s=!0){let{width:e,heads:n,groups:o,key:r,config:i,x:h,h:a}=this;if(this.used>=i.context)throw new Error(`the model reads ${i.context} tokens at most`);if(!(t>=0&&t<i.vocab_size))throw new Error(`no token has the id ${t}`);h.set(this.embed.subarray(t*e,(t+1)*e)),this.blocks.forEach((p,u)=>{O(h,0,e,p.norm1,0,i.eps,a,0),this.attend(p,u),A(p.o,this.mixed,a,e,n*r);for(let d=0;d<e;d++)h[d]+=a[d];O(h,0,e,p.norm2,0,i.eps,a,0),A(p.gate,a,this.gateOut,i.hidden,e),A(p.up,a,this.upOut,i.hidden,e);for(let d=0;d<i.hidden;d++){let y=this.gateOut[d];this.upOut[d]*=y/(1+Math.exp(-y))}A(p.down,this.upOut,a,e,i.hidden);for(let d=0;d<e;d++)h[d]+=a[d]}),this.used++,this.read++;let f=e*((n+2*o)*r+n*r+3*i.hidden);return this.work+=this.blocks.length*(f+2*n*r*this.used),s&&(O(h,0,e,this.norm,0,i.eps,a,0),A(this.embed,a,this.logits,i.vocab_size,e),this.work+=i.vocab_size*e),this.logits}attend(t,s){let{heads:e,groups:n,key:o,qkv:r,mixed:i,scores:h}=this,[a,f]=[this.used,o/2],[p,u,d]=[this.keys[s],this.values[s],n*o];A(t.qkv,this.h,r,(e+2*n)*o,this.width);for(let g=0;g<e+n;g++){O(r,g*o,o,t.gain,g*o,this.config.eps,r,g*o);for(let w=0;w<f;w++){let[v,b]=[this.cos[a*f+w],this.sin[a*f+w]],[E,M]=[r[g*o+w],r[g*o+w+f]];r[g*o+w]=E*v-M*b,r[g*o+w+f]=M*v+E*b}}p.set(r.subarray(e*o,(e+n)*o),a*d),u.set(r.subarray((e+n)*o),a*d);let y=1/Math.sqrt(o);for(let g=0;g<e;g++){let w=g*o,v=Math.floor(g/(e/n))*o,b=-1/0;for(let c=0;c<=a;c++){let k=0;for(let x=0,j=c*d+v;x<o;x++)k+=r[w+x]*p[j+x];h[c]=k*y,h[c]>b&&(b=h[c])}let E=0;for(let c=0;c<=a;c++)E+=h[c]=Math.exp(h[c]-b);i.fill(0,w,w+o);for(let c=0;c<=a;c++){let k=h[c]/E;h[c]=k;for(let x=0,j=c*d+v;x<o;x++)i[w+x]+=k*u[j+x]}let M=i.subarray(w,w+o);this.probe.see?.(s,g,h.subarray(0,a+1),M);let m=this.probe.replace?.(s,g,a);typeof m=="number"?M.fill(m):m&&M.set(m)}}};var X={F32:4,I8:1};function C(l){let t=Y(l),s=null;try{s=JSON.parse(t.__metadata__?.llmcourse??"null")}catch{}if(!s?.config)throw new Error("the file holds no model of this course");let e=8+Number(new DataView(l).getBigUint64(0,!0)),n=new Map;for(let[o,r]of Object.entries(t)){if(o==="__metadata__"||o.endsWith(".scale"))continue;let i=t[`${o}.scale`],h=W(l,e,o,r);n.set(o,{shape:r.shape,data:h instanceof Int8Array?K(h,W(l,e,o,i),r.shape[1]):h})}return{tensors:n,config:s.config,extra:s.extra??{}}}function Y(l){let t=new Error("the weights are damaged: their header does not read");if(l.byteLength<8)throw t;let s=Number(new DataView(l).getBigUint64(0,!0));if(s>l.byteLength-8)throw t;try{let e=JSON.parse(new TextDecoder().decode(new Uint8Array(l,8,s)));if(e&&typeof e=="object")return e;throw t}catch{throw t}}function W(l,t,s,e){let[n,o]=e?.data_offsets??[0,-1],r=e?.shape?.reduce((h,a)=>h*a,1);if(o-n!==r*X[e?.dtype]||t+o>l.byteLength)throw new Error(`the weights are damaged: ${s} is cut short`);let i=l.slice(t+n,t+o);return e.dtype==="I8"?new Int8Array(i):new Float32Array(i)}function K(l,t,s){let e=new Float32Array(l.length);for(let n=0,o=0;n<l.length;o++){let r=t[o];for(let i=n+s;n<i;n++)e[n]=l[n]*r}return e}function z(l){let t=-1/0;for(let n=0;n<l.length;n++)l[n]>t&&(t=l[n]);let s=new Float64Array(l.length),e=0;for(let n=0;n<s.length;n++)e+=s[n]=Math.exp(l[n]-t);for(let n=0;n<s.length;n++)s[n]/=e;return s}function P(l){return Uint32Array.from({length:l.length},(s,e)=>e).sort((s,e)=>l[e]-l[s]||s-e)}function U(l,{temperature:t,topK:s,topP:e}){if(!(Number.isFinite(t)&&t>=0))throw new Error(`temperature must be finite and at least 0, got ${t}`);if(!(Number.isInteger(s)&&s>=0))throw new Error(`top-k must be a whole number of at least 1, or 0 for all, got ${s}`);if(!(e>0&&e<=1))throw new Error(`top-p must be above 0 and at most 1, got ${e}`);let n=P(l),o=l[n[0]],r=Float64Array.from(l);for(let a=0;a<r.length;a++)t===0?r[a]=a===n[0]?0:-1/0:t!==1&&(r[a]=(r[a]-o)/t);let i=z(r);if(s)for(let a of n.subarray(s))r[a]=-1/0;let h=z(r);if(e<1){let a=0;n.forEach((f,p)=>{let u=h[f];p&&a>=e&&(r[f]=-1/0),a+=u})}return{order:n,plain:z(l),heated:i,k:h,p:z(r)}}function G(l){return l=Math.imul(l^l>>>16,2246822507),l=Math.imul(l^l>>>13,3266489909),(l^l>>>16)>>>0}function L(l,t){return G(G(l)+Math.imul(t+1,2654435769)|0)/2**32}function D(l,t,s){let e=0,n=t[0];for(let o of t)if(l[o]!==0&&(n=o,e+=l[o],s<e))return o;return n}var[_,tt,et,T]=[0,1,2,3],H=/^\\p{L}$/u,J=(l,t)=>t>0&&t<l.length&&H.test(l[t-1])&&H.test(l[t])&&l[t]<"ɐ",I=class{constructor(t){this.special=t.special,this.firstByte=t.special.length,this.firstWord=this.firstByte+256,this.surfaces=[...new Set(Object.values(t.words).flat())],this.size=this.firstWord+this.surfaces.length;let s=new Set(t.words.en);this.written=[[],[],[],[]];for(let e of this.surfaces){let n=s.has(e)?e[0].toUpperCase()+e.slice(1):e,o=s.has(e)&&!t.closing.includes(e)?" ":"";[n,o+e,o+n,e].forEach((r,i)=>this.written[i].push(r))}this.after=this.surfaces.map(e=>t.stops.includes(e)?et:e==="“"?_:s.has(e)?tt:T),this.idOf=new Map(this.surfaces.map((e,n)=>[e,this.firstWord+n])),this.readBack=this.written.map(e=>{let n=new Map;return e.forEach((o,r)=>n.has(o)||n.set(o,r)),n}),this.sizes=this.written.map(e=>{let n=new Map;for(let o of e){let r=[...o],i=n.get(r[0])??[];i.includes(r.length)||i.push(r.length),n.set(r[0],i)}for(let o of n.values())o.sort((r,i)=>i-r);return n})}encode(t){if(!t.isWellFormed?.()&&/\\p{Surrogate}/u.test(t))throw new Error("the text holds half of a character (a lone surrogate)");let s=[...t],e=new TextEncoder,n=[];for(let o=0,r=_;o<s.length;){let[i,h]=this.longest(s,o,r);if(i)n.push(this.firstWord+h),r=this.after[h],o+=i;else{for(let a of e.encode(s[o]))n.push(this.firstByte+a);r=s[o]===`\n`?_:T,o++}}return n}longest(t,s,e){let n=this.sizes[e].get(t[s]);if(!n||J(t,s))return[0,-1];for(let o of n){if(s+o>t.length)continue;let r=this.readBack[e].get(t.slice(s,s+o).join(""));if(r!==void 0&&!J(t,s+o))return[o,r]}return[0,-1]}pieces(t){let s=_;return t.map(e=>{if(e<this.firstByte)return s=_,this.special[e];if(e<this.firstWord)return s=e===this.firstByte+10?_:T,e-this.firstByte;let n=this.written[s][e-this.firstWord];return s=this.after[e-this.firstWord],n})}word(t){return this.surfaces[t-this.firstWord]??""}},$=l=>{let t=0;for(let s of l)t+=s;return t},V=l=>l===l.toUpperCase()&&l!==l.toLowerCase(),B=class{constructor(t,s){this.tales=t,this.grammar=t.grammar,this.language=s,this.readings=[],this.state={stage:this.grammar.start,decided:{},bound:{}},this.begin(this.state)}get done(){return this.state.stage==="END"}begin(t){if(this.state=t,this.readings=[],!this.done)for(let[s,e]of this.frames(t)){let n={...t.decided,...e.sets},o={};for(let[r,i]of e.draws){let[h,a]=i.split("@");o[r]=a?`${h}-${n[a]}`:h}for(let[r,i]of this.variants(e,t,o)){let h={weight:s*r,frame:e,classes:o,slots:i,at:0,within:[],fills:{}};this.open(h),this.readings.push(h)}}}frames({stage:t,decided:s}){let{holdout:e,values:n}=this.grammar,o=[];for(let i of this.grammar.stages[t]){if(Object.entries(i.when).some(([a,f])=>!f.includes(s[a])))continue;let h=i.w;for(let[a,f]of Object.entries(i.factors))h*=f[s[a]]??1;for(let[a,f]of e){if(!(f in i.sets))continue;let p=n[f],u=p[n[a].indexOf(s[a])%p.length];i.sets[f]===u&&(h=0)}h&&o.push([h,i])}let r=$(o.map(([i])=>i));return o.map(([i,h])=>[i/r,h])}allowed(t,s,{bound:e}){let n=this.grammar.classes[s].rows.map((r,i)=>i);for(let[r,i]of this.grammar.holdout)if(t===i&&e[r])return n.filter(h=>h!==e[r][1]%n.length);if(!V(t))return n;let o=Object.values(e).filter(([r])=>r===s).map(([,r])=>r);return n.filter(r=>!o.includes(r))}variants(t,s,e){let n={};for(let[r,i]of Object.entries(e))n[r]=this.allowed(r,i,s);let o=[[1,n]];for(let r of t.t[this.language]){if(typeof r=="string"||!r.o||!(r.o in n))continue;let i=r.o,h=r.f==="m"?"m":r.f==="ta"||r.f in this.tales.pronouns?"g":"";if(!h)continue;let a=this.grammar.classes[e[i]];o=o.flatMap(([f,p])=>{let u=new Map;for(let y of p[i]){let g=a.rows[y][h];u.set(g,[...u.get(g)??[],y])}let d=$(p[i].map(y=>a.weights[y]));return[...u.values()].map(y=>{let g=$(y.map(w=>a.weights[w]))/d;return[f*g,{...p,[i]:y}]})})}return o}spoken(t,s){if(typeof t=="string")return[t];let{classes:e}=this.grammar,n=i=>e[s[i][0]].rows[s[i][1]];if(t.f==="draw"||t.f==="recall"){let i=t.d?`${t.d}_${this.language}`:this.language,h=n(t.f==="draw"?t.k:t.o)[i].flatMap(a=>this.spoken(a,s));return t.a&&this.language==="en"&&h.unshift(this.article(h[0])),h}let o=n(t.o);if(t.f==="m")return[o.m];let r=o.g==="f";return t.f==="they"?[r&&n(t.b).g==="f"?"她们":"他们"]:t.f==="ta"?[r?"她":"他"]:[this.tales.pronouns[t.f][r?0:1]]}article(t){return"aeiou".includes(t[0])||this.grammar.vowels.includes(t)?"an":"a"}trie(t,s,e){let{weights:n}=this.grammar.classes[s],o=$(e.map(i=>n[i])),r=new Map;for(let i of e){let h=this.spoken(t,{[t.k??""]:[s,i]}),a=r;h.forEach((f,p)=>{let u=p===h.length-1,d=a.get(f)??[0,u?null:new Map,u?i:-1];d[0]+=n[i]/o,a.set(f,d),a=d[1]??a})}return r}open(t){let s=t.frame.t[this.language][t.at];if(typeof s!="string"&&s.f==="draw"){let n=s.k;t.within=this.trie(s,t.classes[n],t.slots[n]);return}let e={...this.state.bound,...t.fills};typeof s!="string"&&s.o&&!e[s.o]&&t.slots[s.o]&&(e[s.o]=[t.classes[s.o],t.slots[s.o][0]]),t.within=this.spoken(s,e)}next(){let t=new Map,s=$(this.readings.map(n=>n.weight)),e=(n,o)=>t.set(n,(t.get(n)??0)+o/s);for(let n of this.readings)if(Array.isArray(n.within))e(n.within[0],n.weight);else{let o=$([...n.within.values()].map(r=>r[0]));for(let[r,i]of n.within)e(r,n.weight*i[0]/o)}return t}read(t){if(!this.next().has(t))return!1;let s=[];for(let e of this.readings){let n;if(Array.isArray(e.within)){if(e.within[0]!==t)continue;e.within=e.within.slice(1),n=!e.within.length}else{let o=e.within.get(t);if(!o)continue;if(e.weight*=o[0]/$([...e.within.values()].map(r=>r[0])),n=o[1]===null,o[1])e.within=o[1];else{let r=e.frame.t[this.language][e.at],i=typeof r=="string"?"":r.k;e.fills[i]=[e.classes[i],o[2]]}}if(n&&++e.at===e.frame.t[this.language].length){let o={...this.state.bound};for(let[i,h]of Object.entries(e.fills))V(i)&&(o[i]=h);let r={...this.state.decided,...e.frame.sets};return this.begin({stage:e.frame.next,decided:r,bound:o}),!0}n&&this.open(e),s.push(e)}return this.readings=s,!0}};var N=class{constructor(t,s){let{tensors:e,config:n}=C(t);if(this.tales=s,this.tokenizer=new I(s),this.tokenizer.size!==n.vocab_size)throw new Error(`model and tokenizer differ: ${n.vocab_size}, ${this.tokenizer.size} tokens`);this.model=new S(e,n),this.held=[],this.place=null}get end(){return this.tokenizer.special.indexOf("<|end|>")}mark(t){return this.tokenizer.special.indexOf(`<|${t}|>`)}logits(t){let s=0;for(;s<t.length-1&&s<this.held.length&&t[s]===this.held[s];)s++;this.model.truncate(s),this.held=t.slice();let e=this.model.logits;for(let n=s;n<t.length;n++)e=this.model.push(t[n],n===t.length-1);return e}truth(t,s){let e=this.place;(e?.language!==t||e.ids.some((n,o)=>s[o]!==n))&&(e={language:t,ids:[],cursor:new B(this.tales,t)});for(let n=e.ids.length;n<s.length;n++){let o=s[n]===this.end?this.tales.grammar.end:this.tokenizer.word(s[n]);if(!e.cursor.read(o))return this.place=e,{cursor:null,offAt:n};e.ids.push(s[n])}return this.place=e,{cursor:e.cursor,offAt:null}}step({language:t,ids:s,choice:e,seed:n,top:o=10,also:r=[]}){let i=this.logits([this.mark(t),...s]),h=U(i,e),{cursor:a,offAt:f}=this.truth(t,s),p=L(n,s.length),u=D(h.p,h.order,p),d=null;if(a){d=new Map;for(let[m,c]of a.next()){let k=m===this.tales.grammar.end?this.end:this.tokenizer.idOf.get(m);d.set(k,c)}}let y=[...h.order.subarray(0,o)],g=m=>({id:m,text:this.label(m),logit:i[m],plain:h.plain[m],heated:h.heated[m],k:h.k[m],p:h.p[m],truth:d?d.get(m)??0:null}),w=y.map(g),v=r.filter(m=>!y.includes(m)),b=m=>Math.max(0,1-w.reduce((c,k)=>c+k[m],0)),E=w.reduce((m,c)=>m+(c.truth??0),0),M=null;if(d?.size){M=0;for(let m=0;m<h.p.length;m++)M+=Math.abs(h.p[m]-(d.get(m)??0))/2}return{candidates:w,also:[...new Set([...v,...y.includes(u)?[]:[u]])].map(g),rest:{plain:b("plain"),heated:b("heated"),k:b("k"),p:b("p"),truth:d?.size?Math.max(0,1-E):null},restCount:h.order.length-y.length,u:p,drawn:u,kept:h.p.reduce((m,c)=>m+(c>0?1:0),0),possible:d?.size?d.size:null,offAt:f,distance:M,ended:s[s.length-1]===this.end}}label(t){let{firstByte:s,firstWord:e,special:n}=this.tokenizer;return t<s?n[t]==="<|end|>"?"end of story":n[t]:t<e?`byte ${(t-s).toString(16).toUpperCase().padStart(2,"0")}`:this.tokenizer.word(t)}tokenize({text:t}){let s=this.tokenizer.encode(t);return{ids:s,pieces:this.tokenizer.pieces(s)}}read({language:t,ids:s}){let{offAt:e}=this.truth(t,s);return{pieces:this.tokenizer.pieces(s),offAt:e}}generate({language:t,ids:s,choice:e,seed:n,most:o}){let r=s.slice(),i=performance.now(),h=0;for(;r.length<s.length+o&&r[r.length-1]!==this.end;){let a=U(this.logits([this.mark(t),...r]),e);r.push(D(a.p,a.order,L(n,r.length))),h||=performance.now()-i}return{ids:r.slice(s.length),first:h,milliseconds:performance.now()-i}}allLogits({ids:t}){return this.held=[],this.model.truncate(0),t.map(s=>Array.from(this.model.push(s)))}forget(t){this.held=[]}greedy({ids:t,cached:s}){s||(this.held=[]);let{work:e,read:n}=this.model,o=performance.now(),r=this.logits(t),i=0;for(let h=1;h<r.length;h++)r[h]>r[i]&&(i=h);return{id:i,work:this.model.work-e,read:this.model.read-n,milliseconds:performance.now()-o}}experiment({language:t,ids:s,other:e=[],off:n=[],from:o=[],top:r=8}){if(o.length&&e.length!==s.length)throw new Error(`the other text must have as many tokens: ${s.length}, not ${e.length}`);let{layers:i,heads:h}=this.model.config,a=this.probed([this.mark(t),...s],()=>{},!0),f=(c,k)=>c*h+k,p=o.length?this.probed([this.mark(t),...e],()=>{}):null,[u,d]=[n,o].map(c=>new Set(c.map(([k,x])=>f(k,x)))),y=n.length||o.length?this.probed([this.mark(t),...s],(c,k,x)=>u.has(f(c,k))?0:d.has(f(c,k))?p?.outputs[x][f(c,k)]:void 0):a,[g,w]=[z(a.logits),z(y.logits)],{cursor:v,offAt:b}=this.truth(t,s),E=new Map;for(let[c,k]of v?.next()??[])E.set(c===this.tales.grammar.end?this.end:this.tokenizer.idOf.get(c)??-1,k);let M=[...g.keys()].sort((c,k)=>Math.max(g[k],w[k])-Math.max(g[c],w[c])||c-k),m=0;for(let c=0;c<g.length;c++)g[c]>0&&(m+=g[c]*(Math.log(g[c])-Math.log(Math.max(w[c],1e-300))));return{layers:i,heads:h,attention:a.attention,next:M.slice(0,r).map(c=>({id:c,text:this.label(c),plain:g[c],changed:w[c],truth:E.size?E.get(c)??0:null})),distance:Math.max(0,m),offAt:b}}probed(t,s,e=!1){let{model:n}=this,{layers:o,heads:r}=n.config,i=Array.from({length:e?o*r:0},()=>[]),h=t.map(()=>[]);this.held=[],n.truncate(0);try{t.forEach((a,f)=>{n.probe={replace:s,see(p,u,d,y){e&&i[p*r+u].push(d.slice()),h[f][p*r+u]=y.slice()}},n.push(a,f===t.length-1)})}finally{n.probe={},n.truncate(0)}return{logits:n.logits.slice(),attention:i,outputs:h}}trueNext({language:t,ids:s}){let{cursor:e,offAt:n}=this.truth(t,s);return{next:e?[...e.next()]:null,offAt:n}}};var q=null;function st({weights:l,tales:t}){let s=JSON.parse(new TextDecoder().decode(F(t)));q=new N(F(l).buffer,s);let{config:e}=q.model;return{config:e,parameters:q.model.embed.length}}addEventListener("message",({data:{id:l,method:t,asked:s}})=>{try{let e=t==="load"?st(s):q[t](s);postMessage({id:l,result:e})}catch(e){postMessage({id:l,error:e instanceof Error?e.message:String(e)})}});})();\n';var T=Symbol.for("llmcourse.runtime"),U=globalThis;function Z(t,i){return new Promise((c,s)=>{let m=(e,d)=>{if(e?.asset!==i)return;if(t.off("msg:custom",m),e.error)return s(new Error(e.error));let h=d?.[0],p=h?.buffer?h.buffer.slice(h.byteOffset,h.byteOffset+h.byteLength):h;c({data:e.base64??p,size:e.size,crc:e.crc})};t.on("msg:custom",m),t.send({want:i})})}function D(t){return U[T]??=ue(t).catch(i=>{throw delete U[T],i}),U[T]}async function ue(t){let[i,c]=await Promise.all([Z(t,"model.safetensors"),Z(t,"tales.json")]),s=URL.createObjectURL(new Blob([Q],{type:"text/javascript"})),m=new Worker(s);URL.revokeObjectURL(s);let e=new Map,d=0;m.addEventListener("message",({data:{id:p,result:a,error:g}})=>{let y=e.get(p);e.delete(p),g===void 0?y?.resolve(a):y?.reject(new Error(g))});let h=(p,a)=>new Promise((g,y)=>{e.set(++d,{resolve:g,reject:y}),m.postMessage({id:d,method:p,asked:a})});try{await h("load",{weights:i,tales:c})}catch(p){throw m.terminate(),p}return new Proxy({},{get:(p,a)=>a==="then"?void 0:g=>h(String(a),g)})}var ee=t=>8*Math.floor((Math.floor(8*t/3)+7)/8);function te({layers:t,width:i,heads:c,groups:s,hidden:m,vocabulary:e},d){let h=i/c,p=t*(i*(c+2*s)*h+i*i+3*i*m),a=y=>t*2*i*y,g=d*(d+1)/2;return{rows:{next:1,anew:d,all:d,allAnew:g},work:{next:p+a(d)+i*e,anew:d*p+a(g)+i*e,all:d*p+a(g)+d*i*e,allAnew:g*p+a(g*(d+2)/3)+d*i*e},held:2*t*s*h,weights:e*i+p}}var re=`:host {
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
`;function r(t,i={},...c){let s=document.createElement(t);for(let[m,e]of Object.entries(i))e==null||e===!1||(typeof e=="function"?s.addEventListener(m.slice(2),e):s.setAttribute(m,e===!0?"":String(e)));return s.append(...c),s}var ge="http://www.w3.org/2000/svg";function q(t,i={},...c){let s=document.createElementNS(ge,t);for(let[m,e]of Object.entries(i))s.setAttribute(m,String(e));return s.append(...c),s}function se(t,i){let c=t.attachShadow({mode:"open"}),s=r("div",{class:"figure",role:"group","aria-label":i});return document.body?.dataset.jpThemeLight==="false"&&(s.style.colorScheme="dark"),c.append(r("style",{},re),s),s}var pe=0;function oe({label:t,min:i,max:c,step:s,value:m,show:e,change:d}){let h=r("span",{class:"number value","aria-hidden":"true"},e(m)),p=`slider-${++pe}`,a=r("input",{id:p,type:"range",min:i,max:c,step:s,value:m,"aria-valuetext":e(m)}),g=()=>{h.textContent=e(a.valueAsNumber),a.setAttribute("aria-valuetext",e(a.valueAsNumber))};return a.addEventListener("input",()=>{g(),d(a.valueAsNumber)}),{element:r("label",{class:"slider",for:p},r("span",{},t),h,a),input:a,set(y){a.valueAsNumber=y,g()}}}function ie({label:t,name:i,choices:c,value:s,change:m}){return r("fieldset",{class:"choose"},r("legend",{class:"hidden"},t),...c.map(([e,d])=>r("label",{},r("input",{type:"radio",name:i,value:e,checked:e===s,onchange:()=>m(e)}),r("span",{lang:e==="zh"?"zh":null},d))))}var ne=`hr {
  border: 0;
  border-top: 1px solid var(--line);
  margin: 0.2rem 0;
  width: 100%;
}

.two {
  align-items: start;
  display: grid;
  gap: 0.8rem 1.4rem;
  grid-template-columns: 200px minmax(0, 1fr);
}

.picture svg {
  background: var(--surface);
  border: 1px solid var(--line);
  display: block;
  height: auto;
  max-width: 100%;
}

.picture p {
  margin-top: 0.3rem;
}

.once {
  fill: var(--blue);
}

.anew {
  fill: var(--grey);
  opacity: 0.55;
}

.blue,
.with {
  color: var(--blue);
}

.grey {
  color: var(--grey);
}

.story {
  border: 1px solid var(--line);
  border-radius: 0.3rem;
  font: 1rem / 1.6 var(--course-serif, Georgia, "Noto Serif CJK SC", serif);
  height: 6.9rem;
  overflow: auto;
  padding: 0.4rem 0.6rem;
}

tbody th {
  border-bottom: 1px solid var(--line);
  font-weight: 400;
  height: 1.75rem;
  vertical-align: middle;
}

button.set {
  font-size: 13.5px;
  min-height: 1.9rem;
}

.choose {
  font-size: 13.5px;
}

.choose span {
  padding: 0.2rem 0.6rem;
}

.sliders {
  display: grid;
  gap: 0.4rem 1.2rem;
  grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr));
}

.facts {
  min-height: 4.5em;
}

@container (max-width: 520px) {
  .two {
    grid-template-columns: minmax(0, 1fr);
  }

  .story {
    height: 12rem;
  }

  .said {
    min-height: 3em;
  }

  .facts {
    min-height: 7em;
  }

  td.right,
  th.right {
    font-size: 13px;
    white-space: normal;
  }
}
`;var ae={en:"Once a baker named",zh:"从前"},B=90,E=200,P=(t,i)=>Array.from({length:Math.log2(i/t)+1},(c,s)=>t*2**s),we=[64,128,192,256,384,512,768,1024,2048,4096,8192,16384],be=[1,2,3,4,6,8,12,16,24,32,48,64,80,96,128],ye=[1,...P(16,131072)],le=[["the course's",{layers:3,width:192,heads:4,groups:4,hidden:512,vocabulary:1209,context:128}],["7 billion",{layers:32,width:4096,heads:32,groups:32,hidden:11008,vocabulary:32e3,context:4096}],["70 billion, grouped",{layers:80,width:8192,heads:64,groups:8,hidden:28672,vocabulary:128256,context:8192}]],ke=0;function he(t,i,c=1e3){let s=0;for(;t>=c*.9995&&s<i.length-1;)t/=c,s++;return`${s===0&&Number.isInteger(t)?t:t>=100?t.toFixed(0):t>=10?t.toFixed(1):t.toFixed(2)} ${i[s]}`.trim()}var x=t=>t<1e4?t.toLocaleString("en"):he(t,["","thousand","million","billion","× 10¹²","× 10¹⁵","× 10¹⁸","× 10²¹"]),O=t=>he(t,["B","kB","MB","GB","TB"]);function xe({model:t,el:i}){let c=t.get("options")??{},s=c.language==="zh"?"zh":"en",m=se(i,"KV cache and cost: what a token costs with the cache and without it"),e=null,d=!1,h=[],p=c.prompt??ae[s],a=[],g=[],y=!1,I=r("button",{type:"button",class:"main",onclick:()=>X(1)},"Next token"),J=r("button",{type:"button",onclick:()=>X(10)},"Ten tokens"),K=r("button",{type:"button",disabled:!0,onclick:V},"Start again"),F=r("p",{class:"said small muted",role:"status"}),L=r("p",{class:"story",lang:s,tabindex:0,role:"group","aria-label":"The text"}),R=r("div",{class:"picture"}),N=Y("What the model has read and multiplied so far",["positions read","multiply-adds","time in your browser","the last token: positions","the last token: multiply-adds"]),n={...le[0][1]},$=2,C={layers:A("Layers",be,n.layers,o=>n.layers=o),width:A("Width",we,n.width,o=>{n.width=o,n.hidden=ee(o)}),heads:A("Heads",P(1,128),n.heads,o=>n.heads=o),groups:A("Heads with keys of their own",P(1,128),n.groups,o=>n.groups=o),context:A("Tokens in the context",ye,n.context,o=>n.context=o)},G=Y("The token at the end of the context, and the whole text",["positions, last token","positions, whole text","multiply-adds, last token","multiply-adds, whole text","read from memory, last token"]),H=r("p",{class:"small facts",role:"status"});m.append(r("style",{},ne),r("div",{class:"stack"},r("div",{class:"row"},I,J,K),F,L,r("div",{class:"two"},R,N.element),r("hr"),r("p",{class:"title"},"The same for a model of any form"),r("div",{class:"row"},...le.map(([o,l])=>r("button",{type:"button",class:"set",onclick:()=>de(l)},o)),ie({label:"Bytes a number",name:`bytes-${++ke}`,choices:[["4","32 bits"],["2","16"],["1","8"]],value:"2",change:o=>{$=Number(o),S()}})),r("div",{class:"sliders"},...Object.values(C).map(o=>o.element)),G.element,H)),V(),S();function Y(o,l){let u=l.map(()=>[r("td",{class:"right number"},"–"),r("td",{class:"right number"},"–")]);return{element:r("table",{},r("caption",{class:"hidden"},o),r("thead",{},r("tr",{},r("th",{scope:"col"},r("span",{class:"hidden"},"counted")),r("th",{scope:"col",class:"right with"},"with a cache"),r("th",{scope:"col",class:"right"},"without"))),r("tbody",{},...l.map((b,k)=>r("tr",{},r("th",{scope:"row"},b),...u[k])))),fill:b=>b.forEach((k,f)=>k.forEach((M,v)=>u[f][v].textContent=M))}}function A(o,l,u,w){let b=oe({label:o,min:0,max:l.length-1,step:1,value:l.indexOf(u),show:k=>l[k].toLocaleString("en"),change:k=>{w(l[k]),S()}});return{...b,put:k=>b.set(l.indexOf(k))}}function de(o){n={...o},S()}function S(){for(;n.width%n.heads||n.width/n.heads<2;)n.heads/=2;n.groups=Math.min(n.groups,n.heads);for(let b of Object.keys(C))C[b].put(n[b]);let{rows:o,work:l,held:u,weights:w}=te(n,n.context);G.fill([[o.next,o.anew].map(x),[o.all,o.allAnew].map(x),[l.next,l.anew].map(x),[l.all,l.allAnew].map(x),[O($*(w+u*n.context)),O($*w)]]),H.textContent=`${x(w)} weights, ${O($*w)}. The cache holds 2 × ${n.layers} × ${n.groups} × ${n.width/n.heads} numbers a position, ${O($*u)}: for this context ${O($*u*n.context)}, as much as ${(u*n.context/w).toPrecision(2).replace(/e[+]?(-?\d+)/,"·10^$1")} of the weights.`}function V(){h=[],a=[],g=[],y=!1,p=c.prompt??ae[s],L.replaceChildren(p),j(e?"":"The model, 2.1 MB, is loaded when you first ask."),_()}function j(o,l=!1){F.textContent=o,F.classList.toggle("warn",l)}async function X(o){if(!d){d=!0,_();try{if(e||(j("The model is being loaded …"),e=await D(t)),!h.length){let u=await e.tokenize({text:p});h=[await e.mark(s),...u.ids],await e.forget({})}let l=await e.mark("end");for(let u=0;u<o&&!y&&h.length<B;u++){let w=await e.greedy({ids:h,cached:!0}),b=await e.greedy({ids:h,cached:!1});if(w.id!==b.id)throw new Error(`the two ways differ: ${w.id} and ${b.id}`);a.push([w,b]),g.push(h.length),h.push(w.id),y=w.id===l;let{pieces:k}=await e.read({language:s,ids:h.slice(1).filter(f=>f!==l)});L.textContent=k.map(f=>typeof f=="number"?"□":f).join("").trim(),j(y?"The story ends here. Both ways wrote the same.":h.length>=B?`${B} tokens are shown at most. Both ways wrote the same.`:"Both ways wrote the same token."),_()}}catch(l){let u=l instanceof Error?l.message:String(l);j(e?`This cannot be shown: ${u}.`:`The model could not be loaded: ${u}. Ask again to try again.`,!0)}d=!1,_()}}function _(){I.disabled=J.disabled=d||y||h.length>=B,K.disabled=d||!a.length;let o=(f,M)=>a.reduce((v,z)=>v+z[f][M],0),l=a[a.length-1],u=[0,1];l?N.fill([u.map(f=>x(o(f,"read"))),u.map(f=>x(o(f,"work"))),u.map(f=>`${o(f,"milliseconds").toFixed(0)} ms`),u.map(f=>x(l[f].read)),u.map(f=>x(l[f].work))]):N.fill(Array.from({length:5},()=>["–","–"]));let w=E/Math.max(24,g[g.length-1]??0),b=f=>a.map((M,v)=>{let z=f?0:g[v]-M[0].read,W=f?g[v]-M[0].read:g[v];return W>z?`M${(z*w).toFixed(2)} ${(v*w).toFixed(2)}h${((W-z)*w).toFixed(2)}v${(w*.9).toFixed(2)}h${((z-W)*w).toFixed(2)}z`:""}).join(""),k=q("svg",{viewBox:`0 0 ${E} ${E}`,width:E,height:E,role:"img","aria-label":`A line for each of ${a.length} steps, a cell for each position read: with the cache ${o(0,"read")}, without ${o(1,"read")}`});for(let f of u)k.append(q("path",{d:b(f),class:f?"anew":"once"}));R.replaceChildren(k,r("p",{class:"small muted"},r("span",{class:"blue"},"■")," read with the cache, ",r("span",{class:"grey"},"■")," read again without. A line a step."))}}var Le={render:xe};export{Le as default};
