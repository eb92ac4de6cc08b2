// Runs the collectives of allreduce.cu on threads of the host, several ranks at the same time, and
// holds every result against the sum that is computed here. Prints what differs; "ok" at the end.
//
//   simulate SEED COLLECTIVES
#include "fibers.h"

#include <unistd.h>

static constexpr int SLOTS = 400;  // of 4 elements
static constexpr int MOST = 4 * SLOTS;

struct Rank {
  std::vector<u8> mailbox;
  std::vector<element> partial, target;
  std::vector<u32> local, out;
  u32 status;
};

struct Step {
  enum Kind { ONE_SHOT, TWO_SHOT, GATHER } kind;
  int count, shift, adds, rows, columns, blocks;
};

static std::vector<Rank> ranks;
static u32 abort_flag;
static int failures;

static element value(u32 seed, int rank, int step, int i) {
  std::minstd_rand random(seed + 7919 * rank + 104729 * step + 31 * i + 1);
  random();
  return to_element((float)(int)(random() % 2001 - 1000) / 64);
}

static void collective(const Step& step, int rank, u32 seed) {
  Rank& me = ranks[rank];
  u8* m[MAX_RANKS] = {};
  const int size = (int)ranks.size();
  for (int r = 0; r < size; r++) {
    u8* start = ranks[r].mailbox.data();
    m[r] = start + (256 - (u64)start % 256);
  }
  element* partial = me.partial.data() + step.shift * (rank + 1);
  element* target = step.adds ? me.target.data() + step.shift : partial;
#define ARGUMENTS m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[rank], &abort_flag, &me.status, rank, size
  switch (step.kind) {
    case Step::ONE_SHOT:
      launch((step.count + 511) / 512, 128, seed, [=, &me] {
        auto kernel = size <= 2 ? all_reduce_one_shot_2 : size <= 4 ? all_reduce_one_shot_4 : all_reduce_one_shot_8;
        kernel(ARGUMENTS, partial, target, step.adds, step.count, SLOTS);
      });
      break;
    case Step::TWO_SHOT:
      launch(step.blocks, 512, seed, [=, &me] {
        auto kernel = size <= 2 ? all_reduce_two_shot_2 : size <= 4 ? all_reduce_two_shot_4 : all_reduce_two_shot_8;
        kernel(ARGUMENTS, partial, target, step.adds, step.count);
      });
      break;
    case Step::GATHER:
      launch(step.blocks, 512, seed, [=, &me] {
        all_gather_columns_32(ARGUMENTS, me.local.data(), step.columns + 1, me.out.data(),
                              size * step.columns + 3, step.rows, step.columns);
      });
  }
}

static void check(bool holds, const char* what, int rank, const Step& step, int number) {
  if (!holds && failures++ < 10) {
    printf("%s: rank %d of %zu, collective %d, kind %d, count %d, rows %d, columns %d\n", what, rank,
           ranks.size(), number, step.kind, step.count, step.rows, step.columns);
  }
}

static void run_rank(int rank, const std::vector<Step>& steps, u32 seed) {
  Rank& me = ranks[rank];
  const int size = (int)ranks.size();
  std::mt19937 random(seed + rank);
  for (int n = 0; n < (int)steps.size(); n++) {
    const Step& step = steps[n];
    element* partial = me.partial.data() + step.shift * (rank + 1);
    element* target = step.adds ? me.target.data() + step.shift : partial;
    // Guards before and after what is summed.
    for (element& e : me.partial) e = {0x1234};
    for (element& e : me.target) e = {0x1234};
    for (int i = 0; i < step.count; i++) {
      partial[i] = value(seed, rank, n, i);
      if (step.adds) target[i] = value(seed, 99, n, i);
    }
    for (int i = 0; i < step.rows * (step.columns + 1); i++) me.local[i] = n * 1000003 + rank * 10007 + i;
    for (u32& v : me.out) v = 0xdead;
    if (random() % 3 == 0) usleep(random() % 2000);
    collective(step, rank, seed + n * 131 + rank * 7);
    if (step.kind == Step::GATHER) {
      const int stride = size * step.columns + 3;
      for (int row = 0; row < step.rows; row++) {
        for (int c = 0; c < stride; c++) {
          const u32 expected = c >= size * step.columns ? 0xdead
              : n * 1000003 + c / step.columns * 10007 + row * (step.columns + 1) + c % step.columns;
          check(me.out[row * stride + c] == expected, "gathered", rank, step, n);
        }
      }
      continue;
    }
    for (int i = 0; i < step.count; i++) {
      float sum = 0;
      for (int r = 0; r < size; r++) sum += to_float(value(seed, r, n, i));
      if (step.adds) sum += to_float(value(seed, 99, n, i));
      check(target[i].bits == to_element(sum).bits, "sum", rank, step, n);
    }
    const element* end = target + step.count;
    check(end->bits == 0x1234 && (target == me.target.data() || target == me.partial.data() || target[-1].bits == 0x1234),
          "guard", rank, step, n);
  }
}

static void in_step(u32 first_epoch) {
  for (Rank& rank : ranks) {
    u8* start = rank.mailbox.data();
    memset(start, 0, rank.mailbox.size());
    memcpy(start + (256 - (u64)start % 256), &first_epoch, 4);
    rank.status = 0;
  }
  abort_flag = 0;
}

static void run_all(const std::vector<Step>& steps, u32 seed) {
  std::vector<std::thread> running;
  for (int r = 0; r < (int)ranks.size(); r++) running.emplace_back(run_rank, r, std::cref(steps), seed);
  for (std::thread& thread : running) thread.join();
}

int main(int argc, char** argv) {
  const u32 seed = atoi(argv[1]);
  const int collectives = atoi(argv[2]);
  std::mt19937 random(seed);
  for (int size : {2, 3, 4, 8}) {
    ranks.assign(size, Rank{});
    for (Rank& rank : ranks) {
      rank.mailbox.resize(SLOTS_OFFSET + 2 * size * SLOTS * 16 + 512);
      rank.partial.resize(6000 + 64);
      rank.target.resize(6000 + 64);
      rank.local.resize(4096);
      rank.out.resize(16384);
    }
    // The last epochs before the number wraps are among those that are run.
    in_step(0xffffffffu - collectives / 2);
    std::vector<Step> steps;
    for (int i = 0; i < collectives; i++) {
      const int draw = random() % 8;
      if (draw < 5 || size == 8 && draw < 7) {
        steps.push_back({Step::ONE_SHOT, 1 + (int)(random() % (draw == 0 ? MOST : 300)),
                         (int)(random() % 3 == 0), (int)(random() % 2), 0, 0, 0});
      } else if (draw < 7) {
        steps.push_back({Step::TWO_SHOT, 1 + (int)(random() % 6000), (int)(random() % 3 == 0),
                         (int)(random() % 2), 0, 0, 1 + (int)(random() % 2)});
      } else {
        steps.push_back({Step::GATHER, 0, 0, 0, 1 + (int)(random() % 5), 1 + (int)(random() % 250), 1});
      }
    }
    run_all(steps, seed);

    // Rank 0 alone begins each kind, and is released.
    for (Step step : {Step{Step::ONE_SHOT, 700, 0, 1, 0, 0, 0}, Step{Step::TWO_SHOT, 700, 0, 1, 0, 0, 1},
                      Step{Step::GATHER, 0, 0, 0, 2, 9, 1}}) {
      std::thread waiting([&] { collective(step, 0, seed); });
      usleep(20000);
      __atomic_store_n(&abort_flag, 1, __ATOMIC_SEQ_CST);
      waiting.join();
      check(ranks[0].status == 1 && ranks[1].status == 0, "status", 0, step, -1);
      in_step(0);
      run_all({steps[0], steps[1], steps[2]}, seed + 1);
    }
  }
  puts(failures == 0 ? "ok" : "failed");
  return failures == 0 ? 0 : 1;
}
