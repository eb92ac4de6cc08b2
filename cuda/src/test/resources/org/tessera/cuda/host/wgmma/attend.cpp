// Runs attention_wgmma.cu on the host and holds it against softmax in double precision. Prints what
// differs; "ok" at the end.
//
//   attend SEED
#include "attention_wgmma.cu"

#include <algorithm>

typedef std::vector<int> Ints;

static int failures;

static std::vector<element> numbers(int rows, int stride) {
  std::vector<element> m((size_t)rows * stride);
  std::normal_distribution<float> normal;
  for (element& e : m) e = to_element(normal(chance));
  return m;
}

static void poison(std::vector<element>& m, int row, int stride) {
  for (int i = 0; i < stride; i++) m[(size_t)row * stride + i] = {0xffff};
}

static Ints starts_of(const Ints& counts) {
  Ints starts = {0};
  for (int count : counts) starts.push_back(starts.back() + count);
  return starts;
}

/** Holds `out` against softmax; `row_of_key` is from a row of queries and a key to its row of `k`. */
static void compare(const char* name, int width, int heads, int group, float scale,
                    const std::vector<element>& q, const std::vector<element>& k,
                    const std::vector<element>& v, int kv_stride, const std::vector<element>& out,
                    int rows, std::function<int(int)> seen_by,
                    std::function<int(int, int)> row_of_key) {
  double error = 0, size = 0;
  const int stride = heads * width;
  for (int row = 0; row < rows; row++) {
    for (int head = 0; head < heads; head++) {
      const int column = head / group * width;
      std::vector<double> weights(seen_by(row)), expected(width);
      double top = -INFINITY, total = 0;
      for (size_t i = 0; i < weights.size(); i++) {
        const element* key = &k[(size_t)row_of_key(row, i) * kv_stride + column];
        for (int c = 0; c < width; c++) {
          weights[i] += (double)to_float(q[row * stride + head * width + c]) * to_float(key[c]) * scale;
        }
        top = std::max(top, weights[i]);
      }
      for (double& w : weights) total += w = exp(w - top);
      for (size_t i = 0; i < weights.size(); i++) {
        const element* value = &v[(size_t)row_of_key(row, i) * kv_stride + column];
        for (int c = 0; c < width; c++) expected[c] += weights[i] / total * to_float(value[c]);
      }
      for (int c = 0; c < width; c++) {
        const double difference = to_float(out[row * stride + head * width + c]) - expected[c];
        error += difference * difference;
        size += expected[c] * expected[c];
      }
    }
  }
  if (!(error <= 36e-6 * size)) {
    printf("%s, %d rows: error %g\n", name, rows, sqrt(error / size));
    failures++;
  }
}

/** Later keys are longer, so that maxima grow beyond the headroom. */
static void lengthen(std::vector<element>& k, int row, int stride, int key) {
  for (int i = 0; i < stride; i++) {
    element& e = k[(size_t)row * stride + i];
    e = to_element(to_float(e) * (1 + key / 50));
  }
}

static void check_dense(int width, const Ints& queries, const Ints& keys) {
  const int heads = 2, stride = heads * width, segments = queries.size();
  const Ints q_starts = starts_of(queries), k_starts = starts_of(keys);
  const int rows = q_starts.back(), all_keys = k_starts.back();
  std::vector<element> q = numbers(rows, stride), out(q.size(), element{0xffff});
  std::vector<element> k = numbers(all_keys + 1, stride), v = numbers(all_keys + 1, stride);
  Ints segment;
  for (int s = 0; s < segments; s++) {
    segment.insert(segment.end(), queries[s], s);
    for (int i = 0; i < keys[s]; i++) lengthen(k, k_starts[s] + i, stride, i);
  }
  poison(k, all_keys, stride);
  poison(v, all_keys, stride);
  const float scale = 1 / sqrtf(width);
  int longest = 0;
  for (int n : queries) longest = max(longest, n);
  const Dimensions grid = {heads, (longest + ROWS - 1) / ROWS, segments};
  for (int i = 0; i < grid.x * grid.y * grid.z; i++) {
    run_block({i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y}, grid, [&] {
      auto kernel = width == 72 ? attention_wgmma_w72 : attention_wgmma_w128;
      kernel(q.data(), stride, k.data(), stride, v.data(), stride, q_starts.data(),
             k_starts.data(), 1, scale, out.data(), stride);
    });
  }
  compare("dense", width, heads, 1, scale, q, k, v, stride, out, rows,
          [&](int row) { return keys[segment[row]]; },
          [&](int row, int key) { return k_starts[segment[row]] + key; });
}

static void check_paged(const Ints& queries, const Ints& positions) {
  const int width = 128, heads = 2, group = 2, stride = heads * width, shift = 4, page = 1 << shift;
  const int segments = queries.size(), pages = 40;
  const Ints starts = starts_of(queries);
  const int rows = starts.back();
  std::vector<element> q = numbers(rows, stride), out(q.size(), element{0xffff});
  std::vector<element> k = numbers(segments * pages * page, width), v = numbers(segments * pages * page, width);
  Ints tables(segments * pages), segment, most(segments);
  for (int i = 0; i < (int)tables.size(); i++) tables[i] = i;
  std::shuffle(tables.begin(), tables.end(), chance);
  for (int s = 0; s < segments; s++) segment.insert(segment.end(), queries[s], s);
  for (int row = 0; row < rows; row++) most[segment[row]] = max(most[segment[row]], positions[row] + 1);
  auto row_of_key = [&](int s, int key) { return tables[s * pages + key / page] * page + key % page; };
  for (int s = 0; s < segments; s++) {
    for (int key = 0; key < pages * page; key++) {
      lengthen(k, row_of_key(s, key), width, key);
      if (key >= most[s]) poison(k, row_of_key(s, key), width), poison(v, row_of_key(s, key), width);
    }
  }
  const float scale = 1 / sqrtf(width);
  int longest = 0;
  for (int n : queries) longest = max(longest, n);
  const Dimensions grid = {heads, (longest + ROWS - 1) / ROWS, segments};
  for (int i = 0; i < grid.x * grid.y * grid.z; i++) {
    run_block({i % grid.x, i / grid.x % grid.y, i / grid.x / grid.y}, grid, [&] {
      attention_wgmma_paged_w128(q.data(), stride, k.data(), width, v.data(), width, shift,
                                 tables.data(), pages, starts.data(), positions.data(), group,
                                 scale, out.data(), stride);
    });
  }
  compare("paged", width, heads, group, scale, q, k, v, width, out, rows,
          [&](int row) { return positions[row] + 1; },
          [&](int row, int key) { return row_of_key(segment[row], key); });
}

/** `count` positions from `first` on, `step` apart. */
static void add(Ints& positions, int first, int count, int step) {
  for (int i = 0; i < count; i++) positions.push_back(first + i * step);
}

int main(int, char** arguments) {
  chance.seed(atoi(arguments[1]));
  for (int width : {72, 128}) {
    check_dense(width, {130, 3, 64}, {130, 70, 400});
    check_dense(width, {65, 5, 128}, {63, 0, 64});
    check_dense(width, {128, 1}, {1, 257});
  }
  Ints positions;
  add(positions, 0, 300, 1);
  add(positions, 250, 17, 1);
  check_paged({300, 17}, positions);
  positions.clear();
  // The first warpgroup of a block sees most, then none, then the second sees none.
  add(positions, 600, 128, -4);
  add(positions, -1, 64, 0);
  add(positions, 300, 64, 1);
  add(positions, 500, 64, 0);
  add(positions, -1, 64, 0);
  add(positions, -1, 100, 0);
  check_paged({384, 100}, positions);
  if (failures == 0) puts("ok");
  return failures > 0;
}
