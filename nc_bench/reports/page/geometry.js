// From the coordinates of a picture to those that are drawn: three for the span of chosen classes, two on the polygon.

// Vertices of a regular simplex of k points in k - 1 dimensions (Helmert's basis), with edges of length sqrt(2).
function regularSimplex(k) {
  const rows = [];
  for (let row = 0; row < k; row++) {
    rows.push([]);
    for (let column = 1; column < k; column++) {
      const entry = row < column ? 1 : row === column ? -column : 0;
      rows[row].push(entry / Math.sqrt(column * (column + 1)));
    }
  }
  return rows;
}

// Eigenvalues and eigenvectors (columns) of a small symmetric matrix, by Jacobi's rotations.
function eigen(matrix) {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const v = a.map((_, i) => a.map((_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 50; sweep++) {
    let off = 0;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        off += Math.abs(a[p][q]);
        if (a[p][q] === 0) continue;
        const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let i = 0; i < n; i++) [a[i][p], a[i][q]] = [c * a[i][p] - s * a[i][q], s * a[i][p] + c * a[i][q]];
        for (let i = 0; i < n; i++) [a[p][i], a[q][i]] = [c * a[p][i] - s * a[q][i], s * a[p][i] + c * a[q][i]];
        for (let i = 0; i < n; i++) [v[i][p], v[i][q]] = [c * v[i][p] - s * v[i][q], s * v[i][p] + c * v[i][q]];
      }
    }
    if (off === 0) break;
  }
  return { values: a.map((_, i) => a[i][i]), vectors: v };
}

// Orthonormal axes of the span of these rows (k x n), turned so that the rows come as near as can be to a regular
// simplex (orthogonal Procrustes): B = A (A'A)^(-1/2) with A = M'T. Where the span has fewer dimensions, axes are 0.
function spanAxes(rows) {
  const target = regularSimplex(rows.length);
  const n = rows[0].length;
  const d = rows.length - 1;
  const a = Array.from({ length: n }, (_, i) =>
    Array.from({ length: d }, (_, j) => rows.reduce((sum, row, k) => sum + row[i] * target[k][j], 0)));
  const gram = Array.from({ length: d }, (_, i) =>
    Array.from({ length: d }, (_, j) => a.reduce((sum, row) => sum + row[i] * row[j], 0)));
  const { values, vectors } = eigen(gram);
  const least = 1e-12 * Math.max(...values, 0);
  const root = vectors.map((left) => vectors.map((right) =>
    values.reduce((sum, value, m) => (value > least ? sum + (left[m] * right[m]) / Math.sqrt(value) : sum), 0)));
  return a.map((row) => root.map((_, j) => row.reduce((sum, entry, i) => sum + entry * root[i][j], 0)));
}

// Picks three numbers of every point (of `width` coordinates) by three linear forms after subtracting `origin`.
function threeOf(points, width, scale, origin, axes) {
  const count = points.length / width;
  const made = new Float64Array(3 * count);
  for (let at = 0; at < count; at++) {
    for (let j = 0; j < width; j++) {
      const value = points[at * width + j] * scale - origin[j];
      for (let axis = 0; axis < 3; axis++) made[3 * at + axis] += value * axes[j][axis];
    }
  }
  return made;
}

// The parts of a picture in the span of the chosen classes' means, seen from the centre of these.
function inSpan(frame, motion, chosen) {
  const { shown, width } = motion;
  const mean = (label, j) => frame.means[label * width + j];
  const origin = Array.from({ length: width }, (_, j) =>
    j < shown ? chosen.reduce((sum, label) => sum + mean(label, j), 0) / chosen.length : 0);
  const rows = chosen.map((label) => origin.slice(0, shown).map((centre, j) => mean(label, j) - centre));
  const span = spanAxes(rows);
  // Below four classes the axes that are left are the coordinates that follow those of the classes.
  const axes = Array.from({ length: width }, (_, j) =>
    [0, 1, 2].map((axis) => (j < shown ? span[j][axis] ?? 0 : axis - span[0].length === j - shown ? 1 : 0)));
  const at = (points, scale) => threeOf(points, width, scale, origin, axes);
  return {
    train: at(frame.train, frame.scale[0]),
    test: at(frame.test, frame.scale[0]),
    means: at(frame.means, 1),
    weight: at(frame.weight, frame.weightScale),
    vertices: at(frame.vertices, 1),
  };
}

// The parts of a picture on the plane in which the simplex of all classes is a regular polygon.
function onPolygon(frame, motion) {
  const flat = (points, scale) =>
    threeOf(points, 2, scale, [0, 0], [[1, 0, 0], [0, 1, 0]]);
  return {
    train: flat(frame.trainPolygon, frame.scale[1]),
    test: flat(frame.testPolygon, frame.scale[1]),
    means: flat(frame.meansPolygon, 1),
    weight: flat(frame.weightPolygon, frame.weightScale),
    vertices: flat(frame.verticesPolygon, 1),
  };
}
