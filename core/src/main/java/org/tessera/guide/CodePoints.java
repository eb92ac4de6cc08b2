package org.tessera.guide;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.IntPredicate;

/** A set of Unicode code points as ascending ranges that neither overlap nor touch. */
record CodePoints(List<Range> ranges) {
  static final CodePoints NONE = new CodePoints(List.of());
  static final CodePoints ALL = range(0, Character.MAX_CODE_POINT);
  static final CodePoints DIGITS = range('0', '9');
  static final CodePoints HEX = union(DIGITS, range('a', 'f'), range('A', 'F'));
  static final CodePoints WORD = union(DIGITS, range('a', 'z'), range('A', 'Z'), of('_'));
  static final CodePoints SPACE = union(range('\t', '\r'), of(' '));
  static final CodePoints LINE_ENDS = union(of('\n'), of('\r'), range(0x2028, 0x2029));

  CodePoints {
    ranges = List.copyOf(ranges);
  }

  /** Code points from {@code first} to {@code last}. */
  record Range(int first, int last) {}

  static CodePoints of(int codePoint) {
    return range(codePoint, codePoint);
  }

  static CodePoints range(int first, int last) {
    return new CodePoints(List.of(new Range(first, last)));
  }

  /** Each of the characters of a text. */
  static CodePoints anyOf(String characters) {
    return union(characters.codePoints().mapToObj(CodePoints::of).toArray(CodePoints[]::new));
  }

  /** All that a predicate holds for: takes a pass over the whole of Unicode. */
  static CodePoints where(IntPredicate predicate) {
    List<Range> ranges = new ArrayList<>();
    int first = -1;
    for (int c = 0; c <= Character.MAX_CODE_POINT + 1; c++) {
      boolean inside = c <= Character.MAX_CODE_POINT && predicate.test(c);
      if (inside && first < 0) {
        first = c;
      } else if (!inside && first >= 0) {
        ranges.add(new Range(first, c - 1));
        first = -1;
      }
    }
    return new CodePoints(ranges);
  }

  static CodePoints union(CodePoints... sets) {
    List<Range> all = new ArrayList<>();
    for (CodePoints set : sets) {
      all.addAll(set.ranges);
    }
    all.sort(Comparator.comparingInt(Range::first));
    List<Range> merged = new ArrayList<>();
    for (Range next : all) {
      Range last = merged.isEmpty() ? null : merged.getLast();
      if (last != null && next.first() <= last.last() + 1) {
        merged.set(merged.size() - 1, new Range(last.first(), Math.max(last.last(), next.last())));
      } else {
        merged.add(next);
      }
    }
    return new CodePoints(merged);
  }

  CodePoints complement() {
    List<Range> gaps = new ArrayList<>();
    int next = 0;
    for (Range range : ranges) {
      if (range.first() > next) {
        gaps.add(new Range(next, range.first() - 1));
      }
      next = range.last() + 1;
    }
    if (next <= Character.MAX_CODE_POINT) {
      gaps.add(new Range(next, Character.MAX_CODE_POINT));
    }
    return new CodePoints(gaps);
  }

  CodePoints minus(CodePoints other) {
    return union(complement(), other).complement();
  }

  CodePoints intersect(CodePoints other) {
    return minus(other.complement());
  }

  boolean isEmpty() {
    return ranges.isEmpty();
  }
}
