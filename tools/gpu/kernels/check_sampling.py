"""Checks sample, argmax and advance."""

import struct

MASK = (1 << 32) - 1


def philox(seed, counter):
    """The first two words of Philox4x32-10 as one number."""
    c, k = [counter, 0, 0, 0], [seed & MASK, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & MASK, (a >> 32) ^ c[3] ^ k[1], a & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c[1] << 32 | c[0]


assert philox(0, 0) == 0xE169C58D6627E8D5  # Random123's known answer


def interval(scores, temperature, top_k, drop):
    """(kept, cumulative) by id, in float64."""
    import torch

    kept = torch.ones_like(scores, dtype=torch.bool)
    if 0 < top_k < len(scores):
        kept = scores >= scores.topk(top_k).values[-1]
    weights = ((scores - scores.max()).double() / temperature).exp() * kept
    if drop > 0:
        order = torch.sort(weights, stable=True).indices
        dropped = order[(weights[order].cumsum(0) / weights.sum()) <= drop]
        weights[dropped[:-1] if len(dropped) == len(weights) else dropped] = 0
    return weights


def run(modules):
    import torch

    results = []
    m = modules["sample.cu"]
    cases = ((0.0, 0, 0.0), (1.0, 0, 0.0), (0.7, 50, 0.2), (1.0, 0, 0.1), (2.0, 1000, 0.0), (1.0, 1, 0.0), (1e-4, 0, 0.5))
    for vocabulary in (151666, 4098, 13):
        for kind in ("random", "ties", "equal"):
            rows = len(cases)
            logits = torch.randn(rows, vocabulary, device="cuda") * 3
            logits = {"random": logits, "ties": logits.round(), "equal": logits * 0}[kind]
            seeds = torch.randint(0, 1 << 62, (rows,)).tolist()
            packed = b"".join(struct.pack("<fiffffQ8i", t, k, d, 1.0, 0.0, 0.0, s, -1, 0, 7, *[-1] * 5) for (t, k, d), s in zip(cases, seeds))
            parameters = torch.frombuffer(bytearray(packed), dtype=torch.uint8).cuda()
            ids = torch.full((rows,), -9, device="cuda", dtype=torch.int32)
            logprobs = torch.full((rows,), float("nan"), device="cuda")
            shared = (vocabulary + 7) // 8 * 4
            m.launch("sample", rows * 8, 1024, logits, vocabulary, vocabulary, parameters, None, None, ids, logprobs, shared=max(shared, 49152))
            torch.cuda.synchronize()
            for row, (t, k, d) in enumerate(cases):
                chosen = ids[row].item()
                if t == 0:
                    fine = chosen == logits[row].argmax().item()
                else:
                    weights = interval(logits[row], t, k, d)
                    sums, total = weights.cumsum(0), weights.sum().item()
                    target = philox(seeds[row], 7) / 2**64 * total
                    fine = 0 <= chosen < vocabulary and weights[chosen].item() > 0
                    fine = fine and sums[chosen].item() - weights[chosen].item() - 1e-5 * total <= target <= sums[chosen].item() + 1e-5 * total
                results.append((f"sample {vocabulary} {kind} {cases[row]} gave {chosen}", 0.0, bool(fine)))
            want = torch.log_softmax(logits.double(), 1).gather(1, ids.clamp(0, vocabulary - 1).long()[:, None])[:, 0]
            results.append((f"logprobs {vocabulary} {kind}", 0.0, bool(((logprobs - want).abs() < 1e-3).all())))
            logits[1, vocabulary // 2] = float("nan")
            logits[2] = -float("inf")
            m.launch("argmax", rows * 8, 1024, logits, vocabulary, vocabulary, ids)
            want = logits.argmax(1).int()
            want[1], want[2] = -1, -2
            torch.cuda.synchronize()
            results.append((f"argmax {vocabulary} {kind}", 0.0, bool(torch.equal(ids, want))))
    ints = lambda *v: torch.tensor(v, device="cuda", dtype=torch.int32)
    ids, tokens, positions, slots, context = ints(5, 6, 9, 4), ints(0, 0, 0, 0), ints(15, 3, 4, 31), ints(31, 3, 4, -1), ints(16, 4, 5, 32)
    tables, history, step = ints(1, 7, 0, -1, 2, 3, 4, 5), ints(*[-9] * 8), ints(1)
    modules["advance.cu"].launch("advance", 1, 256, ids, 4, tokens, positions, slots, context, tables, 2, 2, 16, ints(9), 1, history, 2, step)
    torch.cuda.synchronize()
    got = [v.tolist() for v in (tokens, positions, slots, context, history, step)]
    want = [[5, 6, 0, 0], [16, 4, 4, 31], [112, 4, -1, -1], [17, 5, 5, 32], [-9] * 4 + [5, 6, 9, -3], [2]]
    results.append((f"advance {got}", 0.0, got == want))
    return results
