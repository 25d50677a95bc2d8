var te='"use strict";(()=>{function F({data:l,size:t,crc:s}){let e;try{e=typeof l=="string"?R(l):new Uint8Array(l)}catch{throw new Error("the file is damaged: it is no base64")}if(e.length!==t)throw new Error(`the file is cut short: ${e.length} of ${t} bytes came`);if(Q(e)!==s)throw new Error("the file is damaged: its checksum differs");return e}function R(l){let t=atob(l),s=new Uint8Array(t.length);for(let e=0;e<t.length;e++)s[e]=t.charCodeAt(e);return s}var Z=Uint32Array.from({length:256},(l,t)=>{for(let s=0;s<8;s++)t=t&1?t>>>1^3988292384:t>>>1;return t>>>0});function Q(l){let t=-1;for(let s=0;s<l.length;s++)t=t>>>8^Z[(t^l[s])&255];return~t>>>0}function A(l,t,s,e,n){let o=n&-4;for(let r=0,i=0;r<e;r++,i+=n){let h=0,a=0,f=0,p=0;for(let u=0;u<o;u+=4)h+=l[i+u]*t[u],a+=l[i+u+1]*t[u+1],f+=l[i+u+2]*t[u+2],p+=l[i+u+3]*t[u+3];for(let u=o;u<n;u++)h+=l[i+u]*t[u];s[r]=h+a+(f+p)}}function O(l,t,s,e,n,o,r,i){let h=0;for(let f=0;f<s;f++)h+=l[t+f]*l[t+f];let a=1/Math.sqrt(h/s+o);for(let f=0;f<s;f++)r[i+f]=l[t+f]*a*e[n+f]}var S=class{constructor(t,s){let e={norm:"rms",norm_place:"pre",mlp:"swiglu",positions:"rope",rope_layout:"half",rope_scale:1,tied:!0,qk_norm:!0,bias:!1,window:null};for(let[h,a]of Object.entries(e))if(s[h]!==a)throw new Error(`pages run models with ${h} = ${a}, got ${s[h]}`);this.config=s,this.width=s.width,this.heads=s.heads,this.groups=s.kv_heads,this.key=s.width/s.heads;let n=h=>{let a=t.get(h);if(!a)throw new Error(`the weights are damaged: ${h} is missing`);return a.data};this.embed=n("embed.weight"),this.norm=n("norm.weight"),this.blocks=Array.from({length:s.layers},(h,a)=>({norm1:n(`blocks.${a}.norm1.weight`),qkv:n(`blocks.${a}.attention.qkv.weight`),gain:n(`blocks.${a}.attention.gain`),o:n(`blocks.${a}.attention.o.weight`),norm2:n(`blocks.${a}.norm2.weight`),gate:n(`blocks.${a}.mlp.gate.weight`),up:n(`blocks.${a}.mlp.up.weight`),down:n(`blocks.${a}.mlp.down.weight`)}));let o=this.key/2;this.cos=new Float32Array(s.context*o),this.sin=new Float32Array(s.context*o);for(let h=0;h<s.context;h++)for(let a=0;a<o;a++){let f=Math.fround(h*Math.fround(s.rope_theta**(-2*a/this.key)));this.cos[h*o+a]=Math.cos(f),this.sin[h*o+a]=Math.sin(f)}let r=h=>new Float32Array(h),i=this.groups*this.key;this.keys=this.blocks.map(()=>r(s.context*i)),this.values=this.blocks.map(()=>r(s.context*i)),this.used=0,this.probe={},this.work=0,this.read=0,this.x=r(this.width),this.h=r(this.width),this.qkv=r((this.heads+2*this.groups)*this.key),this.mixed=r(this.width),this.gateOut=r(s.hidden),this.upOut=r(s.hidden),this.scores=r(s.context),this.logits=r(s.vocab_size)}truncate(t){this.used=Math.min(this.used,t)}push(t,s=!0){let{width:e,heads:n,groups:o,key:r,config:i,x:h,h:a}=this;if(this.used>=i.context)throw new Error(`the model reads ${i.context} tokens at most`);if(!(t>=0&&t<i.vocab_size))throw new Error(`no token has the id ${t}`);h.set(this.embed.subarray(t*e,(t+1)*e)),this.blocks.forEach((p,u)=>{O(h,0,e,p.norm1,0,i.eps,a,0),this.attend(p,u),A(p.o,this.mixed,a,e,n*r);for(let d=0;d<e;d++)h[d]+=a[d];O(h,0,e,p.norm2,0,i.eps,a,0),A(p.gate,a,this.gateOut,i.hidden,e),A(p.up,a,this.upOut,i.hidden,e);for(let d=0;d<i.hidden;d++){let y=this.gateOut[d];this.upOut[d]*=y/(1+Math.exp(-y))}A(p.down,this.upOut,a,e,i.hidden);for(let d=0;d<e;d++)h[d]+=a[d]}),this.used++,this.read++;let f=e*((n+2*o)*r+n*r+3*i.hidden);return this.work+=this.blocks.length*(f+2*n*r*this.used),s&&(O(h,0,e,this.norm,0,i.eps,a,0),A(this.embed,a,this.logits,i.vocab_size,e),this.work+=i.vocab_size*e),this.logits}attend(t,s){let{heads:e,groups:n,key:o,qkv:r,mixed:i,scores:h}=this,[a,f]=[this.used,o/2],[p,u,d]=[this.keys[s],this.values[s],n*o];A(t.qkv,this.h,r,(e+2*n)*o,this.width);for(let g=0;g<e+n;g++){O(r,g*o,o,t.gain,g*o,this.config.eps,r,g*o);for(let w=0;w<f;w++){let[v,b]=[this.cos[a*f+w],this.sin[a*f+w]],[E,M]=[r[g*o+w],r[g*o+w+f]];r[g*o+w]=E*v-M*b,r[g*o+w+f]=M*v+E*b}}p.set(r.subarray(e*o,(e+n)*o),a*d),u.set(r.subarray((e+n)*o),a*d);let y=1/Math.sqrt(o);for(let g=0;g<e;g++){let w=g*o,v=Math.floor(g/(e/n))*o,b=-1/0;for(let c=0;c<=a;c++){let k=0;for(let x=0,j=c*d+v;x<o;x++)k+=r[w+x]*p[j+x];h[c]=k*y,h[c]>b&&(b=h[c])}let E=0;for(let c=0;c<=a;c++)E+=h[c]=Math.exp(h[c]-b);i.fill(0,w,w+o);for(let c=0;c<=a;c++){let k=h[c]/E;h[c]=k;for(let x=0,j=c*d+v;x<o;x++)i[w+x]+=k*u[j+x]}let M=i.subarray(w,w+o);this.probe.see?.(s,g,h.subarray(0,a+1),M);let m=this.probe.replace?.(s,g,a);typeof m=="number"?M.fill(m):m&&M.set(m)}}};var X={F32:4,I8:1};function C(l){let t=Y(l),s=null;try{s=JSON.parse(t.__metadata__?.llmcourse??"null")}catch{}if(!s?.config)throw new Error("the file holds no model of this course");let e=8+Number(new DataView(l).getBigUint64(0,!0)),n=new Map;for(let[o,r]of Object.entries(t)){if(o==="__metadata__"||o.endsWith(".scale"))continue;let i=t[`${o}.scale`],h=W(l,e,o,r);n.set(o,{shape:r.shape,data:h instanceof Int8Array?K(h,W(l,e,o,i),r.shape[1]):h})}return{tensors:n,config:s.config,extra:s.extra??{}}}function Y(l){let t=new Error("the weights are damaged: their header does not read");if(l.byteLength<8)throw t;let s=Number(new DataView(l).getBigUint64(0,!0));if(s>l.byteLength-8)throw t;try{let e=JSON.parse(new TextDecoder().decode(new Uint8Array(l,8,s)));if(e&&typeof e=="object")return e;throw t}catch{throw t}}function W(l,t,s,e){let[n,o]=e?.data_offsets??[0,-1],r=e?.shape?.reduce((h,a)=>h*a,1);if(o-n!==r*X[e?.dtype]||t+o>l.byteLength)throw new Error(`the weights are damaged: ${s} is cut short`);let i=l.slice(t+n,t+o);return e.dtype==="I8"?new Int8Array(i):new Float32Array(i)}function K(l,t,s){let e=new Float32Array(l.length);for(let n=0,o=0;n<l.length;o++){let r=t[o];for(let i=n+s;n<i;n++)e[n]=l[n]*r}return e}function z(l){let t=-1/0;for(let n=0;n<l.length;n++)l[n]>t&&(t=l[n]);let s=new Float64Array(l.length),e=0;for(let n=0;n<s.length;n++)e+=s[n]=Math.exp(l[n]-t);for(let n=0;n<s.length;n++)s[n]/=e;return s}function P(l){return Uint32Array.from({length:l.length},(s,e)=>e).sort((s,e)=>l[e]-l[s]||s-e)}function U(l,{temperature:t,topK:s,topP:e}){if(!(Number.isFinite(t)&&t>=0))throw new Error(`temperature must be finite and at least 0, got ${t}`);if(!(Number.isInteger(s)&&s>=0))throw new Error(`top-k must be a whole number of at least 1, or 0 for all, got ${s}`);if(!(e>0&&e<=1))throw new Error(`top-p must be above 0 and at most 1, got ${e}`);let n=P(l),o=l[n[0]],r=Float64Array.from(l);for(let a=0;a<r.length;a++)t===0?r[a]=a===n[0]?0:-1/0:t!==1&&(r[a]=(r[a]-o)/t);let i=z(r);if(s)for(let a of n.subarray(s))r[a]=-1/0;let h=z(r);if(e<1){let a=0;n.forEach((f,p)=>{let u=h[f];p&&a>=e&&(r[f]=-1/0),a+=u})}return{order:n,plain:z(l),heated:i,k:h,p:z(r)}}function G(l){return l=Math.imul(l^l>>>16,2246822507),l=Math.imul(l^l>>>13,3266489909),(l^l>>>16)>>>0}function L(l,t){return G(G(l)+Math.imul(t+1,2654435769)|0)/2**32}function D(l,t,s){let e=0,n=t[0];for(let o of t)if(l[o]!==0&&(n=o,e+=l[o],s<e))return o;return n}var[_,tt,et,T]=[0,1,2,3],H=/^\\p{L}$/u,J=(l,t)=>t>0&&t<l.length&&H.test(l[t-1])&&H.test(l[t])&&l[t]<"ɐ",I=class{constructor(t){this.special=t.special,this.firstByte=t.special.length,this.firstWord=this.firstByte+256,this.surfaces=[...new Set(Object.values(t.words).flat())],this.size=this.firstWord+this.surfaces.length;let s=new Set(t.words.en);this.written=[[],[],[],[]];for(let e of this.surfaces){let n=s.has(e)?e[0].toUpperCase()+e.slice(1):e,o=s.has(e)&&!t.closing.includes(e)?" ":"";[n,o+e,o+n,e].forEach((r,i)=>this.written[i].push(r))}this.after=this.surfaces.map(e=>t.stops.includes(e)?et:e==="“"?_:s.has(e)?tt:T),this.idOf=new Map(this.surfaces.map((e,n)=>[e,this.firstWord+n])),this.readBack=this.written.map(e=>{let n=new Map;return e.forEach((o,r)=>n.has(o)||n.set(o,r)),n}),this.sizes=this.written.map(e=>{let n=new Map;for(let o of e){let r=[...o],i=n.get(r[0])??[];i.includes(r.length)||i.push(r.length),n.set(r[0],i)}for(let o of n.values())o.sort((r,i)=>i-r);return n})}encode(t){if(!t.isWellFormed?.()&&/\\p{Surrogate}/u.test(t))throw new Error("the text holds half of a character (a lone surrogate)");let s=[...t],e=new TextEncoder,n=[];for(let o=0,r=_;o<s.length;){let[i,h]=this.longest(s,o,r);if(i)n.push(this.firstWord+h),r=this.after[h],o+=i;else{for(let a of e.encode(s[o]))n.push(this.firstByte+a);r=s[o]===`\n`?_:T,o++}}return n}longest(t,s,e){let n=this.sizes[e].get(t[s]);if(!n||J(t,s))return[0,-1];for(let o of n){if(s+o>t.length)continue;let r=this.readBack[e].get(t.slice(s,s+o).join(""));if(r!==void 0&&!J(t,s+o))return[o,r]}return[0,-1]}pieces(t){let s=_;return t.map(e=>{if(e<this.firstByte)return s=_,this.special[e];if(e<this.firstWord)return s=e===this.firstByte+10?_:T,e-this.firstByte;let n=this.written[s][e-this.firstWord];return s=this.after[e-this.firstWord],n})}word(t){return this.surfaces[t-this.firstWord]??""}},$=l=>{let t=0;for(let s of l)t+=s;return t},V=l=>l===l.toUpperCase()&&l!==l.toLowerCase(),B=class{constructor(t,s){this.tales=t,this.grammar=t.grammar,this.language=s,this.readings=[],this.state={stage:this.grammar.start,decided:{},bound:{}},this.begin(this.state)}get done(){return this.state.stage==="END"}begin(t){if(this.state=t,this.readings=[],!this.done)for(let[s,e]of this.frames(t)){let n={...t.decided,...e.sets},o={};for(let[r,i]of e.draws){let[h,a]=i.split("@");o[r]=a?`${h}-${n[a]}`:h}for(let[r,i]of this.variants(e,t,o)){let h={weight:s*r,frame:e,classes:o,slots:i,at:0,within:[],fills:{}};this.open(h),this.readings.push(h)}}}frames({stage:t,decided:s}){let{holdout:e,values:n}=this.grammar,o=[];for(let i of this.grammar.stages[t]){if(Object.entries(i.when).some(([a,f])=>!f.includes(s[a])))continue;let h=i.w;for(let[a,f]of Object.entries(i.factors))h*=f[s[a]]??1;for(let[a,f]of e){if(!(f in i.sets))continue;let p=n[f],u=p[n[a].indexOf(s[a])%p.length];i.sets[f]===u&&(h=0)}h&&o.push([h,i])}let r=$(o.map(([i])=>i));return o.map(([i,h])=>[i/r,h])}allowed(t,s,{bound:e}){let n=this.grammar.classes[s].rows.map((r,i)=>i);for(let[r,i]of this.grammar.holdout)if(t===i&&e[r])return n.filter(h=>h!==e[r][1]%n.length);if(!V(t))return n;let o=Object.values(e).filter(([r])=>r===s).map(([,r])=>r);return n.filter(r=>!o.includes(r))}variants(t,s,e){let n={};for(let[r,i]of Object.entries(e))n[r]=this.allowed(r,i,s);let o=[[1,n]];for(let r of t.t[this.language]){if(typeof r=="string"||!r.o||!(r.o in n))continue;let i=r.o,h=r.f==="m"?"m":r.f==="ta"||r.f in this.tales.pronouns?"g":"";if(!h)continue;let a=this.grammar.classes[e[i]];o=o.flatMap(([f,p])=>{let u=new Map;for(let y of p[i]){let g=a.rows[y][h];u.set(g,[...u.get(g)??[],y])}let d=$(p[i].map(y=>a.weights[y]));return[...u.values()].map(y=>{let g=$(y.map(w=>a.weights[w]))/d;return[f*g,{...p,[i]:y}]})})}return o}spoken(t,s){if(typeof t=="string")return[t];let{classes:e}=this.grammar,n=i=>e[s[i][0]].rows[s[i][1]];if(t.f==="draw"||t.f==="recall"){let i=t.d?`${t.d}_${this.language}`:this.language,h=n(t.f==="draw"?t.k:t.o)[i].flatMap(a=>this.spoken(a,s));return t.a&&this.language==="en"&&h.unshift(this.article(h[0])),h}let o=n(t.o);if(t.f==="m")return[o.m];let r=o.g==="f";return t.f==="they"?[r&&n(t.b).g==="f"?"她们":"他们"]:t.f==="ta"?[r?"她":"他"]:[this.tales.pronouns[t.f][r?0:1]]}article(t){return"aeiou".includes(t[0])||this.grammar.vowels.includes(t)?"an":"a"}trie(t,s,e){let{weights:n}=this.grammar.classes[s],o=$(e.map(i=>n[i])),r=new Map;for(let i of e){let h=this.spoken(t,{[t.k??""]:[s,i]}),a=r;h.forEach((f,p)=>{let u=p===h.length-1,d=a.get(f)??[0,u?null:new Map,u?i:-1];d[0]+=n[i]/o,a.set(f,d),a=d[1]??a})}return r}open(t){let s=t.frame.t[this.language][t.at];if(typeof s!="string"&&s.f==="draw"){let n=s.k;t.within=this.trie(s,t.classes[n],t.slots[n]);return}let e={...this.state.bound,...t.fills};typeof s!="string"&&s.o&&!e[s.o]&&t.slots[s.o]&&(e[s.o]=[t.classes[s.o],t.slots[s.o][0]]),t.within=this.spoken(s,e)}next(){let t=new Map,s=$(this.readings.map(n=>n.weight)),e=(n,o)=>t.set(n,(t.get(n)??0)+o/s);for(let n of this.readings)if(Array.isArray(n.within))e(n.within[0],n.weight);else{let o=$([...n.within.values()].map(r=>r[0]));for(let[r,i]of n.within)e(r,n.weight*i[0]/o)}return t}read(t){if(!this.next().has(t))return!1;let s=[];for(let e of this.readings){let n;if(Array.isArray(e.within)){if(e.within[0]!==t)continue;e.within=e.within.slice(1),n=!e.within.length}else{let o=e.within.get(t);if(!o)continue;if(e.weight*=o[0]/$([...e.within.values()].map(r=>r[0])),n=o[1]===null,o[1])e.within=o[1];else{let r=e.frame.t[this.language][e.at],i=typeof r=="string"?"":r.k;e.fills[i]=[e.classes[i],o[2]]}}if(n&&++e.at===e.frame.t[this.language].length){let o={...this.state.bound};for(let[i,h]of Object.entries(e.fills))V(i)&&(o[i]=h);let r={...this.state.decided,...e.frame.sets};return this.begin({stage:e.frame.next,decided:r,bound:o}),!0}n&&this.open(e),s.push(e)}return this.readings=s,!0}};var N=class{constructor(t,s){let{tensors:e,config:n}=C(t);if(this.tales=s,this.tokenizer=new I(s),this.tokenizer.size!==n.vocab_size)throw new Error(`model and tokenizer differ: ${n.vocab_size}, ${this.tokenizer.size} tokens`);this.model=new S(e,n),this.held=[],this.place=null}get end(){return this.tokenizer.special.indexOf("<|end|>")}mark(t){return this.tokenizer.special.indexOf(`<|${t}|>`)}logits(t){let s=0;for(;s<t.length-1&&s<this.held.length&&t[s]===this.held[s];)s++;this.model.truncate(s),this.held=t.slice();let e=this.model.logits;for(let n=s;n<t.length;n++)e=this.model.push(t[n],n===t.length-1);return e}truth(t,s){let e=this.place;(e?.language!==t||e.ids.some((n,o)=>s[o]!==n))&&(e={language:t,ids:[],cursor:new B(this.tales,t)});for(let n=e.ids.length;n<s.length;n++){let o=s[n]===this.end?this.tales.grammar.end:this.tokenizer.word(s[n]);if(!e.cursor.read(o))return this.place=e,{cursor:null,offAt:n};e.ids.push(s[n])}return this.place=e,{cursor:e.cursor,offAt:null}}step({language:t,ids:s,choice:e,seed:n,top:o=10,also:r=[]}){let i=this.logits([this.mark(t),...s]),h=U(i,e),{cursor:a,offAt:f}=this.truth(t,s),p=L(n,s.length),u=D(h.p,h.order,p),d=null;if(a){d=new Map;for(let[m,c]of a.next()){let k=m===this.tales.grammar.end?this.end:this.tokenizer.idOf.get(m);d.set(k,c)}}let y=[...h.order.subarray(0,o)],g=m=>({id:m,text:this.label(m),logit:i[m],plain:h.plain[m],heated:h.heated[m],k:h.k[m],p:h.p[m],truth:d?d.get(m)??0:null}),w=y.map(g),v=r.filter(m=>!y.includes(m)),b=m=>Math.max(0,1-w.reduce((c,k)=>c+k[m],0)),E=w.reduce((m,c)=>m+(c.truth??0),0),M=null;if(d?.size){M=0;for(let m=0;m<h.p.length;m++)M+=Math.abs(h.p[m]-(d.get(m)??0))/2}return{candidates:w,also:[...new Set([...v,...y.includes(u)?[]:[u]])].map(g),rest:{plain:b("plain"),heated:b("heated"),k:b("k"),p:b("p"),truth:d?.size?Math.max(0,1-E):null},restCount:h.order.length-y.length,u:p,drawn:u,kept:h.p.reduce((m,c)=>m+(c>0?1:0),0),possible:d?.size?d.size:null,offAt:f,distance:M,ended:s[s.length-1]===this.end}}label(t){let{firstByte:s,firstWord:e,special:n}=this.tokenizer;return t<s?n[t]==="<|end|>"?"end of story":n[t]:t<e?`byte ${(t-s).toString(16).toUpperCase().padStart(2,"0")}`:this.tokenizer.word(t)}tokenize({text:t}){let s=this.tokenizer.encode(t);return{ids:s,pieces:this.tokenizer.pieces(s)}}read({language:t,ids:s}){let{offAt:e}=this.truth(t,s);return{pieces:this.tokenizer.pieces(s),offAt:e}}generate({language:t,ids:s,choice:e,seed:n,most:o}){let r=s.slice(),i=performance.now(),h=0;for(;r.length<s.length+o&&r[r.length-1]!==this.end;){let a=U(this.logits([this.mark(t),...r]),e);r.push(D(a.p,a.order,L(n,r.length))),h||=performance.now()-i}return{ids:r.slice(s.length),first:h,milliseconds:performance.now()-i}}allLogits({ids:t}){return this.held=[],this.model.truncate(0),t.map(s=>Array.from(this.model.push(s)))}forget(t){this.held=[]}greedy({ids:t,cached:s}){s||(this.held=[]);let{work:e,read:n}=this.model,o=performance.now(),r=this.logits(t),i=0;for(let h=1;h<r.length;h++)r[h]>r[i]&&(i=h);return{id:i,work:this.model.work-e,read:this.model.read-n,milliseconds:performance.now()-o}}experiment({language:t,ids:s,other:e=[],off:n=[],from:o=[],top:r=8}){if(o.length&&e.length!==s.length)throw new Error(`the other text must have as many tokens: ${s.length}, not ${e.length}`);let{layers:i,heads:h}=this.model.config,a=this.probed([this.mark(t),...s],()=>{},!0),f=(c,k)=>c*h+k,p=o.length?this.probed([this.mark(t),...e],()=>{}):null,[u,d]=[n,o].map(c=>new Set(c.map(([k,x])=>f(k,x)))),y=n.length||o.length?this.probed([this.mark(t),...s],(c,k,x)=>u.has(f(c,k))?0:d.has(f(c,k))?p?.outputs[x][f(c,k)]:void 0):a,[g,w]=[z(a.logits),z(y.logits)],{cursor:v,offAt:b}=this.truth(t,s),E=new Map;for(let[c,k]of v?.next()??[])E.set(c===this.tales.grammar.end?this.end:this.tokenizer.idOf.get(c)??-1,k);let M=[...g.keys()].sort((c,k)=>Math.max(g[k],w[k])-Math.max(g[c],w[c])||c-k),m=0;for(let c=0;c<g.length;c++)g[c]>0&&(m+=g[c]*(Math.log(g[c])-Math.log(Math.max(w[c],1e-300))));return{layers:i,heads:h,attention:a.attention,next:M.slice(0,r).map(c=>({id:c,text:this.label(c),plain:g[c],changed:w[c],truth:E.size?E.get(c)??0:null})),distance:Math.max(0,m),offAt:b}}probed(t,s,e=!1){let{model:n}=this,{layers:o,heads:r}=n.config,i=Array.from({length:e?o*r:0},()=>[]),h=t.map(()=>[]);this.held=[],n.truncate(0);try{t.forEach((a,f)=>{n.probe={replace:s,see(p,u,d,y){e&&i[p*r+u].push(d.slice()),h[f][p*r+u]=y.slice()}},n.push(a,f===t.length-1)})}finally{n.probe={},n.truncate(0)}return{logits:n.logits.slice(),attention:i,outputs:h}}trueNext({language:t,ids:s}){let{cursor:e,offAt:n}=this.truth(t,s);return{next:e?[...e.next()]:null,offAt:n}}};var q=null;function st({weights:l,tales:t}){let s=JSON.parse(new TextDecoder().decode(F(t)));q=new N(F(l).buffer,s);let{config:e}=q.model;return{config:e,parameters:q.model.embed.length}}addEventListener("message",({data:{id:l,method:t,asked:s}})=>{try{let e=t==="load"?st(s):q[t](s);postMessage({id:l,result:e})}catch(e){postMessage({id:l,error:e instanceof Error?e.message:String(e)})}});})();\n';var V=Symbol.for("llmcourse.runtime"),Y=globalThis;function re(c,b){return new Promise((k,a)=>{let g=(i,s)=>{if(i?.asset!==b)return;if(c.off("msg:custom",g),i.error)return a(new Error(i.error));let p=s?.[0],o=p?.buffer?p.buffer.slice(p.byteOffset,p.byteOffset+p.byteLength):p;k({data:i.base64??o,size:i.size,crc:i.crc})};c.on("msg:custom",g),c.send({want:b})})}function ne(c){return Y[V]??=ve(c).catch(b=>{throw delete Y[V],b}),Y[V]}async function ve(c){let[b,k]=await Promise.all([re(c,"model.safetensors"),re(c,"tales.json")]),a=URL.createObjectURL(new Blob([te],{type:"text/javascript"})),g=new Worker(a);URL.revokeObjectURL(a);let i=new Map,s=0;g.addEventListener("message",({data:{id:o,result:n,error:y}})=>{let m=i.get(o);i.delete(o),y===void 0?m?.resolve(n):m?.reject(new Error(y))});let p=(o,n)=>new Promise((y,m)=>{i.set(++s,{resolve:y,reject:m}),g.postMessage({id:s,method:o,asked:n})});try{await p("load",{weights:b,tales:k})}catch(o){throw g.terminate(),o}return new Proxy({},{get:(o,n)=>n==="then"?void 0:y=>p(String(n),y)})}var se=`:host {
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
`;function t(c,b={},...k){let a=document.createElement(c);for(let[g,i]of Object.entries(b))i==null||i===!1||(typeof i=="function"?a.addEventListener(g.slice(2),i):a.setAttribute(g,i===!0?"":String(i)));return a.append(...k),a}function oe(c,b){let k=c.attachShadow({mode:"open"}),a=t("div",{class:"figure",role:"group","aria-label":b});return document.body?.dataset.jpThemeLight==="false"&&(a.style.colorScheme="dark"),k.append(t("style",{},se),a),a}function O(c){return c===null?"–":c===0?"0":c<5e-4?"< 0.1 %":`${(100*c).toFixed(1)} %`}var Ae=0;function U({label:c,min:b,max:k,step:a,value:g,show:i,change:s}){let p=t("span",{class:"number value","aria-hidden":"true"},i(g)),o=`slider-${++Ae}`,n=t("input",{id:o,type:"range",min:b,max:k,step:a,value:g,"aria-valuetext":i(g)}),y=()=>{p.textContent=i(n.valueAsNumber),n.setAttribute("aria-valuetext",i(n.valueAsNumber))};return n.addEventListener("input",()=>{y(),s(n.valueAsNumber)}),{element:t("label",{class:"slider",for:o},t("span",{},c),p,n),input:n,set(m){n.valueAsNumber=m,y()}}}function ie({label:c,name:b,choices:k,value:a,change:g}){return t("fieldset",{class:"choose"},t("legend",{class:"hidden"},c),...k.map(([i,s])=>t("label",{},t("input",{type:"radio",name:b,value:i,checked:i===a,onchange:()=>g(i)}),t("span",{lang:i==="zh"?"zh":null},s))))}var ae=`.tight {
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
`;var v=10,L=[0,1,2,3,5,10,20,40,100],Q={en:"Once a baker named",zh:"从前，"},le=[["plain","model"],["heated","÷ temperature"],["k","top-k"],["p","top-p"],["truth","the language"]],Me=0;function Ee({model:c,el:b}){let k=c.get("options")??{},a=k.language==="zh"?"zh":"en",g=k.seed??1,i={temperature:1,topK:0,topP:1},s=[],p=[],o=0,n=null,y=null,m=null,T=!1,N=!1,_=!0,he=oe(b,"Playground: the course's model writes a tale, token by token"),M=t("textarea",{rows:1,spellcheck:"false",maxlength:400,oninput:F});M.value=k.prompt??Q[a],M.lang=a;let q=t("input",{class:"field seed",type:"number",min:0,max:999999,step:1,value:g,inputmode:"numeric",onchange:()=>{g=Math.max(0,Math.floor(q.valueAsNumber||0)),q.value=String(g),F()}}),B=t("button",{type:"button",class:"main",onclick:()=>E(G)},"Next token"),W=t("button",{type:"button",onclick:()=>T?j():E(ge)},"Whole story"),de=t("button",{type:"button",onclick:()=>{F(),B.focus()}},"Start again"),P=t("p",{class:"said small muted",role:"status"}),D=t("button",{type:"button",hidden:!0,onclick:()=>E(G)},"Try again"),$=t("div",{class:"pieces story",role:"toolbar","aria-label":"The tokens so far. Arrow keys move, Enter looks at one.",onkeydown:me}),I=le.map(([e,r])=>ue(e,r)),K=t("div",{class:"luck",hidden:!0});I[3].bar.append(K);let J=Array.from({length:v},(e,r)=>fe(r)),A=[t("th",{scope:"row"}),...Array.from({length:4},()=>t("td",{class:"right number"}))],X=t("p",{class:"title"},"What comes next"),Z=t("p",{class:"small muted facts"}),R=()=>{m&&C()},ce=[U({label:"Temperature",min:0,max:2,step:.05,value:1,show:e=>e===0?"0, greedy":e.toFixed(2),change:e=>{i.temperature=e,R()}}),U({label:"Top-k",min:0,max:L.length-1,step:1,value:L.length-1,show:e=>e===L.length-1?"all":String(L[e+1]),change:e=>{i.topK=e===L.length-1?0:L[e+1],R()}}),U({label:"Top-p",min:.05,max:1,step:.05,value:1,show:e=>e>.999?"all":e.toFixed(2),change:e=>{i.topP=Math.min(1,Math.round(e*100)/100),R()}})];he.append(t("style",{},ae),t("div",{class:"stack"},t("div",{class:"row spread"},ie({label:"Language",name:`language-${++Me}`,choices:[["en","English"],["zh","中文"]],value:a,change:e=>{let r=M.value===Q[a];a=e==="zh"?"zh":"en",r&&(M.value=Q[a]),M.lang=a,F()}}),t("label",{class:"row small"},"Seed",q)),t("label",{class:"small"},"The beginning, yours to change",M),t("div",{class:"row sliders"},...ce.map(e=>e.element)),t("div",{class:"row"},B,W,de,D),t("div",{},$,P),t("div",{class:"stack tight"},X,t("div",{class:"strips","aria-hidden":"true"},...I.map(e=>e.element)),t("table",{},t("caption",{class:"hidden"},"The most probable next tokens, with the model's, the filtered and the true probability"),t("thead",{},t("tr",{},t("th",{scope:"col"},"token"),t("th",{scope:"col",class:"right wide"},"logit"),t("th",{scope:"col",class:"right wide"},"model"),t("th",{scope:"col",class:"right"},"drawn from"),t("th",{scope:"col",class:"right"},"true"))),t("tbody",{},...J.map(e=>e.element),t("tr",{},...A))),Z))),A[1].classList.add("wide"),A[2].classList.add("wide"),x("The model, 2.1 MB, is loaded when you first ask for a token."),H();function ue(e,r){let l=Array.from({length:v+1},(h,d)=>t("span",{class:d===v?"part others":"part"})),f=t("div",{class:`bar ${e}`},...l);return{element:t("div",{class:"strip"},t("span",{class:"small muted"},r),f),parts:l,bar:f}}function fe(e){let r=t("button",{type:"button",class:"take",onclick:()=>E(()=>pe(e))}),l=Array.from({length:4},(h,d)=>t("td",{class:`right number${d<2?" wide":""}`}));return{element:t("tr",{class:"candidate"},t("th",{scope:"row"},r),...l),take:r,cells:l}}function F(){j(),_=!0,s=[],p=[],y=null,n=null,o=0,m?E(async()=>{}):H()}function j(){T=!1,W.textContent="Whole story"}function x(e,r=!1){P.textContent=e,P.classList.toggle("warn",r)}async function E(e){if(!N){N=!0,D.hidden=!0;try{for(m||(x("The model is being loaded …"),m=await ne(c),x(""));_;){_=!1;let{ids:r}=await m.tokenize({text:M.value});s=r.map(l=>({id:l,by:"you"})),o=s.length,x(""),await C()}await e()}catch(r){j();let l=r instanceof Error?r.message:String(r);m?x(`This cannot go on: ${l}.`,!0):(D.hidden=!1,x(`The model could not be loaded: ${l}. Nothing else on this page depends on it.`,!0))}finally{N=!1}_&&m&&E(async()=>{})}}async function C(){let e=o,r=s[e],l=await m.step({language:a,choice:i,seed:g,top:v,ids:s.slice(0,e).map(d=>d.id),also:r?[r.id]:[]}),f=s.map(d=>d.id),h=await m.read({language:a,ids:f});e!==o||f.length!==s.length||([n,p,y]=[l,h.pieces,h.offAt],H())}async function G(){S()||(o!==s.length&&(o=s.length,await C()),n&&(s.push({id:n.drawn,by:"model"}),o=S()?s.length-1:s.length,await C()))}async function ge(){for(T=!0,W.textContent="Stop";T&&!S()&&!_;)await G(),await new Promise(e=>requestAnimationFrame(e));j()}async function pe(e){let r=ee()[e]?.id;r!==void 0&&(s=[...s.slice(0,o),{id:r,by:"you"}],o=S()?o:s.length,await C(),$.scrollTop=$.scrollHeight,J[0].take.focus())}function S(){return s.length>0&&s[s.length-1].id===1}function me(e){let r={ArrowLeft:-1,ArrowRight:1,Home:-1/0,End:1/0}[e.key];if(r===void 0)return;e.preventDefault();let l=[...$.querySelectorAll("button")],f=l.indexOf(e.target);l[Math.min(Math.max(f+r,0),l.length-1)]?.focus()}function ee(){if(!n)return[];let e=s[o]?.id??n.drawn,r=n.also.find(l=>l.id===e);return r?[...n.candidates.slice(0,v-1),r]:n.candidates}function H(){let e=s[o]?.id;B.disabled=S(),W.disabled=S(),$.replaceChildren(...p.length?p.flatMap(ke):[t("span",{class:"muted small"},"The text appears here. Choose a token to look back at its place, and another token to branch.")]),o>=s.length&&($.scrollTop=$.scrollHeight);for(let[h,[d]]of le.entries())we(I[h],d);K.hidden=!n,n&&(K.style.left=`${100*n.u}%`);let r=ee(),l=Math.max(...r.map(h=>Math.max(h.p,h.truth??0)),1e-9);J.forEach(({element:h,take:d,cells:w},z)=>{let u=r[z];if(h.classList.toggle("here",!!u&&u.id===(e??n?.drawn)),h.classList.toggle("cut",!!u&&u.p===0),d.disabled=!u,d.textContent=u?.text??"–",d.lang=a,u){let ye=u.id===e?", in the text":u.id===n?.drawn?", drawn next":"";d.setAttribute("aria-label",`${u.text}${ye}: continue with it`),d.title=`id ${u.id}`}else d.removeAttribute("aria-label");w[0].textContent=u?u.logit.toFixed(2).replace("-","−"):"",w[1].textContent=u?O(u.plain):"",w[2].textContent=u?O(u.p):"",w[3].textContent=u?O(u.truth):"",h.style.setProperty("--p",String((u?.p??0)/l)),h.style.setProperty("--truth",String((u?.truth??0)/l)),h.classList.toggle("true",!!u?.truth),h.dataset.p=String(u?.p??0)});let f=h=>n?.rest[h]==null?null:Math.max(0,1-r.reduce((d,w)=>d+(w[h]??0),0));A[0].textContent=n?`${n.restCount.toLocaleString("en")} others`:"others",A[2].textContent=n?O(f("plain")):"",A[3].textContent=n?O(f("p")):"",A[4].textContent=n?O(f("truth")):"",A[3].dataset.p=String(f("p")??0),X.textContent=n?e===void 0?`What comes next, at place ${o+1}`:`What could have come at place ${o+1}`:"What comes next",Z.textContent=n?be(n):"",S()&&m?x("The story ends here. Choose any token to look back, and another to branch."):n&&o<s.length?x("You look back. Choose another token below to branch here; Next token goes on at the end."):n&&!N&&x("")}function be(e){let r=e.kept===1?"one token":`${e.kept.toLocaleString("en")} of ${(e.restCount+v).toLocaleString("en")} tokens`;return e.offAt!==null?`The filters keep ${r}. From its token ${e.offAt+1} on this is no tale: the language never says it, so there is no true distribution to compare with.`:e.possible===null?`The filters keep ${r}.`:`The language allows ${e.possible===1?"one token":`${e.possible} tokens`} here; the filters keep ${r}. Distance between the two (total variation): ${(e.distance??0).toFixed(3)}.`}function we({parts:e,bar:r},l){let f=n?.candidates??[],h=s[o]?.id??n?.drawn;r.classList.toggle("none",!n||l==="truth"&&n.rest.truth===null),e.forEach((d,w)=>{let z=(w===v?n?.rest[l]:f[w]?.[l])??0;d.style.width=`${100*z}%`,d.classList.toggle("here",w<v&&!!n&&f[w]?.id===h),d.textContent=z>.09?w===v?"others":f[w]?.text??"":"",d.lang=a})}function ke(e,r){let l=typeof e=="number",f=l?e.toString(16).toUpperCase().padStart(2,"0"):e,{id:h,by:d}=s[r]??{id:0,by:"model"},w=y===r,z=t("button",{type:"button",lang:a,class:`piece ${d}${l?" hex":""}${r===o?" here":""}${w?" off":""}`,tabindex:r===Math.min(o,s.length-1)?0:-1,"aria-pressed":r===o?"true":"false",title:`id ${h}${w?": from here on this is no tale":""}`,onclick:()=>E(async()=>{j(),o=r,await C(),$.querySelectorAll("button")[r]?.focus()})},h===1?"■":f.trimStart()||f);return h===1&&z.setAttribute("aria-label","end of the story"),f.startsWith(" ")||h===1?[" ",z]:[z]}}var Ue={render:Ee};export{Ue as default};
