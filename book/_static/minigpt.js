/* GPT-2 in plain JavaScript: byte-level BPE and the pre-norm decoder with a key-value cache, in float32.
   It computes what minigpt/model.py and minigpt/bpe.py compute; tests/test_site.py holds the two against each other. */
(function (root) {
  "use strict";

  // GPT-2's pre-tokeniser. \p{White_Space} and not \s: JavaScript's \s counts U+FEFF as a space and U+0085 as none.
  const PIECES = new RegExp(
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\p{White_Space}\\p{L}\\p{N}]+" +
    "|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+", "gu");

  /** GPT-2's printable stand-in for each of the 256 bytes. */
  function byteAlphabet() {
    const printable = (b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    let next = 256;
    return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
  }

  class BPE {
    /** tokens: every entry in the byte alphabet, by id; merges: "left right" in order; specials: {text: id}. */
    constructor({ tokens, merges, specials }) {
      this.alphabet = byteAlphabet();
      this.byteOf = new Map(this.alphabet.map((char, byte) => [char, byte]));
      this.tokens = tokens;
      this.specials = specials;
      this.names = new Map(Object.entries(specials).map(([name, id]) => [id, name]));
      this.idOf = new Map(tokens.map((token, id) => [token, id]));
      this.rank = new Map(merges.map((pair, i) => [pair, i]));
      this.cache = new Map();
    }

    /** The words of a text: merges never cross from one to the next. */
    split(text) {
      return text.match(PIECES) || [];
    }

    encode(text) {
      const ids = [];
      for (const piece of this.split(text)) {
        let found = this.cache.get(piece);
        if (!found) {
          found = this.merge(piece);
          if (piece.length < 40) this.cache.set(piece, found);
        }
        for (const id of found) ids.push(id);
      }
      return ids;
    }

    merge(piece) {
      let parts = Array.from(new TextEncoder().encode(piece), (byte) => this.alphabet[byte]);
      while (parts.length > 1) {
        let best = Infinity;
        let pair = null;
        for (let i = 0; i + 1 < parts.length; i++) {
          const rank = this.rank.get(parts[i] + " " + parts[i + 1]);
          if (rank < best) [best, pair] = [rank, [parts[i], parts[i + 1]]];
        }
        if (!pair) break;
        const merged = [];
        for (let i = 0; i < parts.length; i++) {
          if (parts[i] === pair[0] && parts[i + 1] === pair[1]) merged.push(parts[i] + parts[++i]);
          else merged.push(parts[i]);
        }
        parts = merged;
      }
      return parts.map((part) => this.idOf.get(part));
    }

    bytes(ids) {
      const out = [];
      for (const id of ids) {
        if (this.names.has(id)) out.push(...new TextEncoder().encode(this.names.get(id)));
        else for (const char of this.tokens[id]) out.push(this.byteOf.get(char));
      }
      return Uint8Array.from(out);
    }

    decode(ids) {
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(this.bytes(ids));
    }
  }

  /** The float32 values of the little-endian half-precision numbers in a base64 string. */
  function halves(base64) {
    const binary = atob(base64);
    const out = new Float32Array(binary.length / 2);
    for (let i = 0; i < out.length; i++) {
      const bits = binary.charCodeAt(2 * i) | (binary.charCodeAt(2 * i + 1) << 8);
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      const size = exponent === 0 ? fraction * 2 ** -24
        : exponent === 31 ? (fraction ? NaN : Infinity)
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
      out[i] = bits & 0x8000 ? -size : size;
    }
    return out;
  }

  /** out = x W + b with W stored (in, out), as GPT-2's checkpoints store it. */
  function affine(x, weight, bias, out) {
    const n = out.length;
    const whole = x.length - (x.length % 4);
    out.set(bias);
    for (let i = 0; i < whole; i += 4) { // four rows at a time: a quarter of the reads and writes of out
      const a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
      const row = i * n;
      for (let o = 0; o < n; o++) {
        const at = row + o;
        out[o] += a * weight[at] + b * weight[at + n] + c * weight[at + 2 * n] + d * weight[at + 3 * n];
      }
    }
    for (let i = whole; i < x.length; i++) {
      for (let o = 0; o < n; o++) out[o] += x[i] * weight[i * n + o];
    }
    return out;
  }

  /** The dot product of n numbers of x from index i and of y from index j, in four sums that do not wait for each other. */
  function dot(x, i, y, j, n) {
    let a = 0, b = 0, c = 0, d = 0, k = 0;
    for (; k + 3 < n; k += 4) {
      a += x[i + k] * y[j + k];
      b += x[i + k + 1] * y[j + k + 1];
      c += x[i + k + 2] * y[j + k + 2];
      d += x[i + k + 3] * y[j + k + 3];
    }
    for (; k < n; k++) a += x[i + k] * y[j + k];
    return a + b + c + d;
  }

  function layerNorm(x, gain, bias, epsilon, out) {
    let mean = 0;
    for (let i = 0; i < x.length; i++) mean += x[i];
    mean /= x.length;
    let variance = 0;
    for (let i = 0; i < x.length; i++) variance += (x[i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / x.length + epsilon);
    for (let i = 0; i < x.length; i++) out[i] = (x[i] - mean) * scale * gain[i] + bias[i];
    return out;
  }

  function gelu(x) {
    for (let i = 0; i < x.length; i++) {
      const v = x[i];
      x[i] = 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v * v * v)));
    }
    return x;
  }

  /** softmax(values / temperature) as a new Float32Array. */
  function softmax(values, temperature = 1) {
    let top = -Infinity;
    for (let i = 0; i < values.length; i++) if (values[i] > top) top = values[i];
    const out = new Float32Array(values.length);
    let total = 0;
    for (let i = 0; i < out.length; i++) total += (out[i] = Math.exp((values[i] - top) / temperature));
    for (let i = 0; i < out.length; i++) out[i] /= total;
    return out;
  }

  class GPT {
    /** payload: {config, tensors: {name: [offset, length]}, data: base64 of half-precision numbers}. */
    constructor({ config, tensors, data }) {
      Object.assign(this, config);
      const all = halves(data);
      this.weight = {};
      for (const [name, [start, length]] of Object.entries(tensors)) {
        this.weight[name] = all.subarray(start, start + length);
      }
      const width = this.n_embd;
      this.keys = Array.from({ length: this.n_layer }, () => new Float32Array(this.n_positions * width));
      this.values = Array.from({ length: this.n_layer }, () => new Float32Array(this.n_positions * width));
      this.ids = [];
      this.logits = [];
      this.attention = [];
      this.x = new Float32Array(width);
      this.normed = new Float32Array(width);
      this.qkv = new Float32Array(3 * width);
      this.mixed = new Float32Array(width);
      this.out = new Float32Array(width);
      this.hidden = new Float32Array(4 * width);
    }

    /** Reads the ids (at most n_positions of them), reusing the cache for the part that has not changed.
        Afterwards logits[t] is a Float32Array(vocab_size) and attention[t][layer][head] a Float32Array(t + 1). */
    read(ids) {
      if (ids.length > this.n_positions) throw new RangeError(`${ids.length} tokens, at most ${this.n_positions} fit`);
      let same = 0;
      while (same < ids.length && same < this.ids.length && ids[same] === this.ids[same]) same++;
      this.ids.length = this.logits.length = this.attention.length = same;
      for (let t = same; t < ids.length; t++) this.step(ids[t]);
      return this.logits[ids.length - 1];
    }

    step(id) {
      const { x, normed, out, weight: w, n_embd: width } = this;
      const t = this.ids.length;
      const wte = w["wte.weight"];
      for (let i = 0; i < width; i++) x[i] = wte[id * width + i] + w["wpe.weight"][t * width + i];
      const maps = [];
      for (let layer = 0; layer < this.n_layer; layer++) {
        const h = `h.${layer}.`;
        layerNorm(x, w[h + "ln_1.weight"], w[h + "ln_1.bias"], this.epsilon, normed);
        maps.push(this.attend(layer, t));
        affine(this.mixed, w[h + "attn.c_proj.weight"], w[h + "attn.c_proj.bias"], out);
        for (let i = 0; i < width; i++) x[i] += out[i];
        layerNorm(x, w[h + "ln_2.weight"], w[h + "ln_2.bias"], this.epsilon, normed);
        gelu(affine(normed, w[h + "mlp.c_fc.weight"], w[h + "mlp.c_fc.bias"], this.hidden));
        affine(this.hidden, w[h + "mlp.c_proj.weight"], w[h + "mlp.c_proj.bias"], out);
        for (let i = 0; i < width; i++) x[i] += out[i];
      }
      layerNorm(x, w["ln_f.weight"], w["ln_f.bias"], this.epsilon, normed);
      const logits = new Float32Array(this.vocab_size);
      for (let v = 0; v < logits.length; v++) logits[v] = dot(normed, 0, wte, v * width, width);
      this.ids.push(id);
      this.logits.push(logits);
      this.attention.push(maps);
    }

    /** One position's attention in one layer: from this.normed into this.mixed; returns each head's weights. */
    attend(layer, t) {
      const { n_embd: width, n_head: heads, qkv, mixed, weight: w } = this;
      const size = width / heads;
      const keys = this.keys[layer];
      const values = this.values[layer];
      affine(this.normed, w[`h.${layer}.attn.c_attn.weight`], w[`h.${layer}.attn.c_attn.bias`], qkv);
      keys.set(qkv.subarray(width, 2 * width), t * width);
      values.set(qkv.subarray(2 * width), t * width);
      mixed.fill(0);
      const maps = [];
      for (let head = 0; head < heads; head++) {
        const first = head * size;
        const scores = new Float32Array(t + 1);
        for (let s = 0; s <= t; s++) {
          scores[s] = dot(qkv, first, keys, s * width + first, size) / Math.sqrt(size);
        }
        const weights = softmax(scores);
        for (let s = 0; s <= t; s++) {
          const share = weights[s];
          const row = s * width + first;
          for (let i = 0; i < size; i++) mixed[first + i] += share * values[row + i];
        }
        maps.push(weights);
      }
      return maps;
    }
  }

  /** Draws an index from probabilities; random is a number in [0, 1). */
  function draw(probabilities, random) {
    let left = random;
    for (let i = 0; i < probabilities.length; i++) {
      left -= probabilities[i];
      if (left < 0) return i;
    }
    return probabilities.indexOf(Math.max(...probabilities));
  }

  root.MiniGPT = { BPE, GPT, softmax, draw };
})(globalThis);
