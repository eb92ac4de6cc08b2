// What the ranks of a group do together over memory that they see of each other: epochs, mailboxes,
// waiting, and the exchange of addresses with which the larger collectives begin.
//
// Every rank has a mailbox in its own memory, which the others write to:
//
//   0        the number of the rank's last collective, and how many blocks of the one under way have
//            read it: of the rank alone
//   256      what the others' tensors are: for every rank and block two slots
//   33,024   who is done: for every rank and block a number
//   37,120   what the others add: twice, for even and odd numbers, `slots` for every rank
//
// A collective's number, its epoch, counts on in device memory, so that a graph can be replayed. A
// datum of 4 bytes travels with the epoch in one store of 8 bytes: who reads this epoch has the
// datum, and no fence is needed. The epoch is never 0, which is what fresh memory holds, and is even
// and odd in turns.
//
// Why two halves of slots suffice: a rank writes for epoch e + 2 only after its kernel of e + 1 has
// ended, for which it needed what every other rank wrote in e + 1, and that rank's kernel of e + 1
// wrote nothing before the one of e, which read the slots in question, had ended. Kernels of a rank
// wait for each other (griddepcontrol.wait, or the order of the stream). For the same reason one set
// of addresses and of "done" suffices. An epoch comes again after 2^32 collectives, and would be
// mistaken only in a slot that none of those between wrote to.
//
// Every wait looks now and then at a flag in the host's memory, and ends where it is set: the rank's
// status, there too, says so then.
#pragma once
#include "peer_memory.cuh"

/** As in PeerTransport.java. */
constexpr int MAX_RANKS = 8;
constexpr int MAX_BLOCKS = 128;
constexpr int ADDRESSES_OFFSET = 256;
constexpr int DONE_OFFSET = ADDRESSES_OFFSET + MAX_RANKS * MAX_BLOCKS * 32;
constexpr int SLOTS_OFFSET = DONE_OFFSET + MAX_RANKS * MAX_BLOCKS * 4;

/** The flag crosses PCIe, which takes longer than many looks at the device's own memory. */
constexpr int SPINS_BETWEEN_LOOKS = 256;

/**
 * Warps take turns to look, one of so many each time. Where all warps of a large sum ask at once the
 * answers are late, the other ranks come to wait for so long that theirs ask too, and every sum of a
 * step takes as long.
 */
constexpr int TURNS = 64;

/** The mailboxes of all ranks, and who this is; pointers of ranks that are not there are null. */
#define PEER_PARAMETERS                                                                           \
  u8 *mailbox0, u8 *mailbox1, u8 *mailbox2, u8 *mailbox3, u8 *mailbox4, u8 *mailbox5,             \
      u8 *mailbox6, u8 *mailbox7, u8 *own, const u32 *abort, u32 *status, int rank, int size
#define PEERS                                                                                     \
  {                                                                                               \
    {mailbox0, mailbox1, mailbox2, mailbox3, mailbox4, mailbox5, mailbox6, mailbox7}, own, abort, \
        status, rank, size                                                                        \
  }

__device__ __forceinline__ bool has_arrived(const Slot& s, u32 epoch) {
  return (u32)(s.first >> 32) == epoch && (u32)(s.second >> 32) == epoch;
}

/** What a collective knows of the group, and its waiting. */
struct Peers {
  u8* mailboxes[MAX_RANKS];
  u8* own;
  const u32* abort;
  u32* status;
  int rank;
  int size;

  /** The epoch of this collective; to be asked by every thread that needs it before `enter`. */
  __device__ __forceinline__ u32 epoch() const {
    const u32 last = load_relaxed((const u32*)own);
    return last == 0xffffffffu ? 2 : last + 1;
  }

  /** By all threads of every block, once: the last block makes the epoch that of the mailbox. */
  __device__ __forceinline__ void enter(u32 epoch) const {
    // A barrier that asks for the number is not passed before every thread's load of it has ended.
    const int odd = __syncthreads_or(epoch & 1);
    if (threadIdx.x == 0 && odd == (int)(epoch & 1)) {
      u32* state = (u32*)own;
      if (atomicAdd(state + 1, 1) == gridDim.x - 1) {
        state[1] = 0;
        state[0] = epoch;
      }
    }
  }

  /** Whether a wait of so many spins has to end; the status says so then. */
  __device__ __forceinline__ bool gives_up(int spins) const {
    const int warp = blockIdx.x + threadIdx.x / WARP;
    const bool looks = spins % SPINS_BETWEEN_LOOKS == 0 &&
                       (spins / SPINS_BETWEEN_LOOKS + warp) % TURNS == 0;
    if (!looks || load_relaxed(abort) == 0) {
      return false;
    }
    *(volatile u32*)status = 1;
    return true;
  }

  /** A rank's mailbox, by comparisons, as an index of run time would move the array to memory. */
  __device__ __forceinline__ u8* mailbox_of(int peer) const {
    u8* found = mailboxes[0];
#pragma unroll
    for (int r = 1; r < MAX_RANKS; r++) {
      found = peer == r ? mailboxes[r] : found;
    }
    return found;
  }

  /** Where `from` writes for block `block` of the mailbox's owner. */
  __device__ __forceinline__ static Slot* addresses(u8* mailbox, int from, int block) {
    return (Slot*)(mailbox + ADDRESSES_OFFSET) + 2 * (from * MAX_BLOCKS + block);
  }

  __device__ __forceinline__ static u32* done(u8* mailbox, int from, int block) {
    return (u32*)(mailbox + DONE_OFFSET) + from * MAX_BLOCKS + block;
  }

  /** Looks again until a slot, of which `found` was read, is there; false where it gives up. */
  __device__ __forceinline__ bool await(const Slot* address, u32 epoch, Slot& found) const {
    for (int spins = 1; !has_arrived(found, epoch); spins++) {
      if (gives_up(spins)) {
        return false;
      }
      found = load_slot(address);
    }
    return true;
  }

  /**
   * By all threads of a block: tells every rank's block of the same number where two tensors of
   * this rank are, and learns where theirs are. When it returns, what earlier kernels of all ranks
   * wrote can be read, and what they read may be written. False where it gave up.
   */
  __device__ __forceinline__ bool exchange(u32 epoch, u64 a, u64 b, u64* all_a, u64* all_b) const {
    bool arrived = true;
    if (threadIdx.x < size) {
      const int peer = threadIdx.x;
      fence_system();
      Slot* theirs = addresses(mailbox_of(peer), rank, blockIdx.x);
      store_slot(theirs, (u32)a, (u32)(a >> 32), epoch);
      store_slot(theirs + 1, (u32)b, (u32)(b >> 32), epoch);
      const Slot* mine = addresses(own, peer, blockIdx.x);
      Slot found_a = load_slot(mine), found_b = load_slot(mine + 1);
      arrived = await(mine, epoch, found_a) && await(mine + 1, epoch, found_b);
      if (arrived) {
        all_a[peer] = (found_a.first & 0xffffffffu) | found_a.second << 32;
        all_b[peer] = (found_b.first & 0xffffffffu) | found_b.second << 32;
      }
      fence_system();
    }
    return __syncthreads_and(arrived);
  }

  /**
   * By all threads of a block: waits until the blocks of the same number of all ranks have come
   * here too. What they wrote before can be read by the kernels that follow, and what they read may
   * be written.
   */
  __device__ __forceinline__ void finish(u32 epoch) const {
    __syncthreads();
    if (threadIdx.x < size) {
      const int peer = threadIdx.x;
      store_release(done(mailbox_of(peer), rank, blockIdx.x), epoch);
      const u32* mine = done(own, peer, blockIdx.x);
      for (int spins = 1; load_acquire(mine) != epoch; spins++) {
        if (gives_up(spins)) {
          break;
        }
      }
    }
  }
};
