package org.tessera.text;

import static org.assertj.core.api.Assertions.assertThat;

import java.text.Normalizer;
import java.util.Random;
import org.junit.jupiter.api.Test;

class NfcTest {
  /** Marks of many combining classes, starters among marks, marks that decompose. */
  private static final int[] MARKS = {
    0x0301, 0x0323, 0x0334, 0x0335, 0x0345, 0x0327, 0x031B, 0x0340, 0x0344, 0x034F, 0x05B0, 0x05BC,
    0x0650, 0x0652, 0x093C, 0x094D, 0x0903, 0x0E38, 0x0F71, 0x0F72, 0x0F73, 0x0F75, 0x0F81, 0x20DD,
    0x302A, 0x3099, 0x1D165, 0x1D16D, 0x1E8D0, 0xE0100
  };

  @Test
  void longRunsOfMarksNormalizeAsTheJdkDoes() {
    Random random = new Random(4);
    for (int i = 0; i < 300; i++) {
      StringBuilder text = new StringBuilder();
      for (int run = random.nextInt(1, 4); run > 0; run--) {
        text.appendCodePoint(random.nextBoolean() ? 'o' : 'é');
        for (int mark = random.nextInt(200); mark > 0; mark--) {
          text.appendCodePoint(MARKS[random.nextInt(MARKS.length)]);
        }
      }
      assertThat(Nfc.normalize(text.toString()))
          .isEqualTo(Normalizer.normalize(text, Normalizer.Form.NFC));
    }
  }

  @Test
  void everyMarkOfUnicodeInOneRun() {
    StringBuilder text = new StringBuilder("a");
    int[] marks =
        new Random(5)
            .ints(0x300, Character.MAX_CODE_POINT)
            .filter(c -> Character.getType(c) == Character.NON_SPACING_MARK)
            .limit(5_000)
            .toArray();
    for (int mark : marks) {
      text.appendCodePoint(mark);
    }
    assertThat(Nfc.normalize(text.toString()))
        .isEqualTo(Normalizer.normalize(text, Normalizer.Form.NFC));
  }

  /** So runs of marks are all that insertion would be slow on. */
  @Test
  void nothingButMarksIsReordered() {
    for (int c = 0; c <= Character.MAX_CODE_POINT; c++) {
      int type = Character.getType(c);
      boolean mark =
          type == Character.NON_SPACING_MARK
              || type == Character.COMBINING_SPACING_MARK
              || type == Character.ENCLOSING_MARK;
      if (!mark) {
        String after = Normalizer.normalize("\u0345" + Character.toString(c), Normalizer.Form.NFD);
        assertThat(after).startsWith("\u0345");
        if (after.codePointAt(1) == c) { // else it decomposes and may end with a mark
          assertThat(Normalizer.normalize(after + "\u0334", Normalizer.Form.NFD))
              .isEqualTo(after + "\u0334");
        }
      }
    }
  }
}
