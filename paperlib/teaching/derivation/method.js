/* The dark channel prior, equation by equation, with the definitions of paperlib.dehaze.

   An image is {height, width, data}: data a Uint8Array of 3·height·width values, R G B R G B …
   A plane is a Float64Array of height·width values, in 0…1 unless it says grey levels.
   Windows are clipped at the border; everything is computed in float64. */
"use strict";

const Method = (() => {
  const FLOOR = 1 / 255; // a black light would divide by zero

  /* Rounding to nearest, halves to even, as NumPy rounds. */
  function rint(value) {
    const low = Math.floor(value), rest = value - low;
    if (rest < 0.5) return low;
    if (rest > 0.5) return low + 1;
    return low % 2 ? low + 1 : low;
  }

  const grey = (value) => rint(Math.min(1, Math.max(0, value)) * 255);

  /* Minimum along one line of a plane: a queue of positions whose values rise. */
  function lineMinimum(from, to, start, stride, length, before, after, queue) {
    let head = 0, tail = 0, next = 0;
    for (let i = 0; i < length; i++) {
      for (; next < length && next <= i + after; next++) {
        const value = from[start + next * stride];
        while (tail > head && from[start + queue[tail - 1] * stride] >= value) tail--;
        queue[tail++] = next;
      }
      while (queue[head] < i - before) head++;
      to[start + i * stride] = from[start + queue[head] * stride];
    }
  }

  /* Minimum over the window from −⌊patch/2⌋ to patch − 1 − ⌊patch/2⌋, clipped at the border. */
  function windowMinimum(plane, height, width, patch) {
    const before = Math.floor(patch / 2), after = patch - 1 - before;
    const rows = new Float64Array(plane.length), least = new Float64Array(plane.length);
    const queue = new Int32Array(Math.max(height, width));
    for (let y = 0; y < height; y++) {
      lineMinimum(plane, rows, y * width, 1, width, before, after, queue);
    }
    for (let x = 0; x < width; x++) {
      lineMinimum(rows, least, x, width, height, before, after, queue);
    }
    return least;
  }

  /* Mean over the window of side 2·radius + 1, clipped at the border. */
  function boxMean(plane, height, width, radius) {
    const column = new Float64Array(width), total = new Float64Array(width + 1);
    const mean = new Float64Array(plane.length);
    const add = (y, sign) => {
      for (let x = 0; x < width; x++) column[x] += sign * plane[y * width + x];
    };
    for (let y = 0; y < Math.min(radius, height); y++) add(y, 1);
    for (let y = 0; y < height; y++) {
      if (y + radius < height) add(y + radius, 1);
      if (y - radius > 0) add(y - radius - 1, -1);
      const rows = Math.min(height - 1, y + radius) - Math.max(0, y - radius) + 1;
      for (let x = 0; x < width; x++) total[x + 1] = total[x] + column[x];
      for (let x = 0; x < width; x++) {
        const left = Math.max(0, x - radius), right = Math.min(width - 1, x + radius);
        mean[y * width + x] = (total[right + 1] - total[left]) / ((right - left + 1) * rows);
      }
    }
    return mean;
  }

  /* Smallest colour of each pixel; with `divide`, of c / divide[c]. */
  function channelMinimum(data, divide) {
    const least = new Float64Array(data.length / 3);
    const [r, g, b] = divide || [1, 1, 1];
    for (let i = 0, k = 0; i < least.length; i++, k += 3) {
      least[i] = Math.min(data[k] / r, data[k + 1] / g, data[k + 2] / b);
    }
    return least;
  }

  /* Equation 1; in grey levels 0…255. */
  function darkChannel(image, patch) {
    return windowMinimum(channelMinimum(image.data), image.height, image.width, patch);
  }

  /* The candidates for A and A itself: {light, threshold, candidates, brightest}.
     `dark` holds whole grey levels. Candidates reach the ⌈fraction·H·W⌉-th largest, ties kept; of
     them count the brightest by R + G + B; A is the mean of those. */
  function atmosphericLight(image, dark, fraction) {
    const counts = new Uint32Array(256);
    for (const value of dark) counts[value]++;
    const wanted = Math.ceil(fraction * dark.length);
    let threshold = 255, candidates = counts[255];
    while (candidates < wanted) candidates += counts[--threshold];
    let most = -1, sums = [0, 0, 0], brightest = [];
    for (let i = 0; i < dark.length; i++) {
      if (dark[i] < threshold) continue;
      const [r, g, b] = [image.data[3 * i], image.data[3 * i + 1], image.data[3 * i + 2]];
      if (r + g + b < most) continue;
      if (r + g + b > most) [most, sums, brightest] = [r + g + b, [0, 0, 0], []];
      sums = [sums[0] + r, sums[1] + g, sums[2] + b];
      brightest.push(i);
    }
    const light = sums.map((sum) => Math.max(FLOOR, sum / brightest.length / 255));
    return { light, threshold, candidates, brightest };
  }

  /* Equation 8; with omega = 1 equation 7. */
  function transmission(image, light, patch, omega) {
    const least = darkRelative(image, light, patch);
    return least.map((value) => 1 - omega * value);
  }

  /* The dark channel of I/A, in 0…: the left side of equation 5. */
  function darkRelative(image, light, patch) {
    const relative = channelMinimum(image.data, light.map((a) => a * 255));
    return windowMinimum(relative, image.height, image.width, patch);
  }

  function luma(image) {
    const plane = new Float64Array(image.data.length / 3);
    for (let i = 0, k = 0; i < plane.length; i++, k += 3) {
      const [r, g, b] = [image.data[k], image.data[k + 1], image.data[k + 2]];
      plane[i] = (0.299 * r + 0.587 * g + 0.114 * b) / 255;
    }
    return plane;
  }

  /* Plain loops: this is most of a slider's time. */
  function guidedFilter(guide, source, height, width, radius, eps) {
    const size = guide.length, mean = (plane) => boxMean(plane, height, width, radius);
    const both = new Float64Array(size), square = new Float64Array(size);
    for (let i = 0; i < size; i++) {
      both[i] = guide[i] * source[i];
      square[i] = guide[i] * guide[i];
    }
    const g = mean(guide), p = mean(source), gp = mean(both), gg = mean(square);
    const slope = both, offset = square; // their memory again
    for (let i = 0; i < size; i++) {
      slope[i] = (gp[i] - g[i] * p[i]) / (Math.max(gg[i] - g[i] * g[i], 0) + eps);
      offset[i] = p[i] - slope[i] * g[i];
    }
    const a = mean(slope), b = mean(offset);
    for (let i = 0; i < size; i++) b[i] += a[i] * guide[i];
    return b;
  }

  /* Equation 9; an image. */
  function recover(image, t, light, t0) {
    const data = new Uint8Array(image.data.length);
    for (let i = 0, k = 0; i < t.length; i++) {
      const divide = Math.max(t[i], t0);
      for (let c = 0; c < 3; c++, k++) {
        data[k] = grey((image.data[k] / 255 - light[c]) / divide + light[c]);
      }
    }
    return { height: image.height, width: image.width, data };
  }

  /* Equation 3; an image. */
  function addHaze(scene, t, light) {
    const data = new Uint8Array(scene.data.length);
    for (let i = 0, k = 0; i < t.length; i++) {
      for (let c = 0; c < 3; c++, k++) {
        data[k] = grey((scene.data[k] / 255) * t[i] + light[c] * (1 - t[i]));
      }
    }
    return { height: scene.height, width: scene.width, data };
  }

  /* A transmission whose mean is about 1 − strength: "even", "slope" or "bank". */
  function depthMap(height, width, strength, depth) {
    const at = (i, side) => (side > 1 ? -1 + (2 * i) / (side - 1) : -1);
    const t = new Float64Array(height * width);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        let thick = 1;
        if (depth === "slope") thick = 1 + 0.35 * (at(y, height) + at(x, width));
        if (depth === "bank") thick = 0.55 + 0.95 * Math.exp(-((at(y, height) / 0.5) ** 2));
        t[y * width + x] = Math.min(1, Math.max(0.02, 1 - strength * thick));
      }
    }
    return t;
  }

  /* PSNR in dB over all colours; Infinity for equal images. */
  function psnr(truth, image) {
    let sum = 0;
    for (let k = 0; k < truth.data.length; k++) sum += (truth.data[k] - image.data[k]) ** 2;
    return sum ? 10 * Math.log10(255 ** 2 / (sum / truth.data.length)) : Infinity;
  }

  /* SSIM: mean over the colours, window 7, sample covariance, windows wholly inside only. */
  function ssim(truth, image) {
    const { height, width } = truth, n = 49 / 48;
    if (Math.min(height, width) < 7) return NaN;
    const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
    let sum = 0;
    for (let c = 0; c < 3; c++) {
      const [x, y] = [truth, image].map((one) =>
        Float64Array.from({ length: height * width }, (_, i) => one.data[3 * i + c]));
      const mean = (plane) => boxMean(plane, height, width, 3);
      const [mx, my, xx, yy, xy] = [x, y, x.map((v) => v * v), y.map((v) => v * v),
        x.map((v, i) => v * y[i])].map(mean);
      for (let row = 3; row < height - 3; row++) {
        for (let i = row * width + 3; i < row * width + width - 3; i++) {
          const vx = n * (xx[i] - mx[i] ** 2), vy = n * (yy[i] - my[i] ** 2);
          const covariance = n * (xy[i] - mx[i] * my[i]);
          sum += ((2 * mx[i] * my[i] + c1) * (2 * covariance + c2)) /
            ((mx[i] ** 2 + my[i] ** 2 + c1) * (vx + vy + c2));
        }
      }
    }
    return sum / (3 * (height - 6) * (width - 6));
  }

  const constant = ({ data }) => data.every((value, k) => value === data[k % 3]);

  /* Every map between a hazy image and the recovered one.
     p      {patch, omega, t0, fraction, radius, eps}; light  A, or null to estimate it
     saved  an object that later calls on the same image get again: only the maps that a changed
            parameter touches are made anew */
  function steps(image, p, light = null, saved = {}) {
    const { height, width } = image;
    const once = (name, key, make) => {
      const text = JSON.stringify(key);
      if (!(name in saved) || saved[name][0] !== text) saved[name] = [text, make()];
      return saved[name][1];
    };
    const dark = once("dark", p.patch, () => darkChannel(image, p.patch));
    const found = once("found", [p.patch, p.fraction],
      () => atmosphericLight(image, dark, p.fraction));
    const used = light || found.light;
    const relative = once("relative", [used, p.patch], () => darkRelative(image, used, p.patch));
    const coarse = once("coarse", [used, p.patch, p.omega],
      () => relative.map((value) => 1 - p.omega * value));
    const guide = once("guide", 0, () => luma(image));
    const fine = once("fine", [used, p.patch, p.omega, p.radius, p.eps],
      () => guidedFilter(guide, coarse, height, width, p.radius, p.eps));
    const flat = once("flat", 0, () => constant(image)); // nothing to tell haze from scene by
    const clear = once("clear", [used, p.patch, p.omega, p.radius, p.eps, p.t0],
      () => (flat ? image : recover(image, fine, used, p.t0)));
    return { dark, found, light: used, relative, coarse, guide, fine, clear };
  }

  return {
    windowMinimum, boxMean, channelMinimum, darkChannel, darkRelative, atmosphericLight,
    transmission, luma, guidedFilter, recover, addHaze, depthMap, psnr, ssim, steps,
  };
})();
