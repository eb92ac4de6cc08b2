package org.tessera.text;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalInt;
import org.tessera.error.CheckpointException;
import org.tessera.error.InvalidRequestException;

/**
 * Qwen2's byte-level byte-pair encoding: NFC, then Qwen2's split, then merges of the bytes of each
 * piece. Adds no token before or after. Immutable and safe for any number of threads.
 */
public final class Tokenizer {
  private final Vocabulary vocabulary;

  private Tokenizer(Vocabulary vocabulary) {
    this.vocabulary = vocabulary;
  }

  /**
   * Reads tokenizer.json or, where there is none, vocab.json and merges.txt, with the added tokens
   * of the files beside them.
   *
   * @throws CheckpointException where a file is missing, broken, or asks for another kind of
   *     tokenizer
   */
  public static Tokenizer load(Path directory) {
    return new Tokenizer(TokenizerFiles.read(directory));
  }

  /**
   * Encodes text that anyone may have written. Control tokens in it are text like any other: the
   * result never holds an added token. An unpaired surrogate counts as U+FFFD.
   *
   * <p>Takes n log n time, and at most some 100 bytes of memory for each character.
   */
  public int[] encode(String text) {
    Encoding encoding = new Encoding(vocabulary);
    encoding.append(text);
    return encoding.ids();
  }

  /**
   * Encodes text of our own in which added tokens stand for themselves, as Hugging Face's tokenizer
   * encodes any text: of several that start at one place the longest counts.
   */
  public int[] encodeTrusted(String text) {
    Encoding encoding = new Encoding(vocabulary);
    int from = 0;
    for (int at = 0; at < text.length(); ) {
      AddedToken token = vocabulary.added().at(text, at);
      if (token == null) {
        at++;
      } else {
        encoding.append(text.substring(from, at));
        encoding.append(token.id());
        at += token.content().length();
        from = at;
      }
    }
    encoding.append(text.substring(from));
    return encoding.ids();
  }

  /** The id of a token as the tokenizer's files write it, such as {@code <|im_end|>}. */
  public OptionalInt idOf(String token) {
    Integer id = vocabulary.ids().get(token);
    return id == null ? OptionalInt.empty() : OptionalInt.of(id);
  }

  /**
   * The text of these tokens. Bytes that are not UTF-8 are U+FFFD, one for each maximal part of an
   * ill-formed sequence.
   *
   * @throws InvalidRequestException where no token has one of the ids
   */
  public String decode(int[] ids, boolean skipSpecialTokens) {
    int length = 0;
    byte[] bytes = new byte[4 * ids.length];
    for (int id : ids) {
      byte[] token = token(id);
      if (skipSpecialTokens && vocabulary.special().get(id)) {
        continue;
      }
      if (bytes.length - length < token.length) {
        bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, length + token.length));
      }
      System.arraycopy(token, 0, bytes, length, token.length);
      length += token.length;
    }
    StringBuilder text = new StringBuilder(length);
    Utf8.decode(bytes, length, true, text);
    return text.toString();
  }

  /** {@link #decode(int[], boolean)} of a list. */
  public String decode(List<Integer> ids, boolean skipSpecialTokens) {
    return decode(ids.stream().mapToInt(Integer::intValue).toArray(), skipSpecialTokens);
  }

  /**
   * The bytes that a token stands for, which need not be whole characters.
   *
   * @throws InvalidRequestException where no token has this id
   */
  public byte[] bytes(int id) {
    return token(id).clone();
  }

  /** One more than the largest id; an id below may belong to no token. */
  public int size() {
    return vocabulary.bytes().length;
  }

  /**
   * Whether a token is a special one, which decoding may skip.
   *
   * @throws InvalidRequestException where no token has this id
   */
  public boolean isSpecial(int id) {
    token(id);
    return vocabulary.special().get(id);
  }

  /** Whether a token has this id. */
  public boolean hasToken(int id) {
    return id >= 0 && id < vocabulary.bytes().length && vocabulary.bytes()[id] != null;
  }

  private byte[] token(int id) {
    byte[] token = id < 0 || id >= vocabulary.bytes().length ? null : vocabulary.bytes()[id];
    if (token == null) {
      throw new InvalidRequestException(
          "no token has id %d; ids are from 0 to %d".formatted(id, size() - 1));
    }
    return token;
  }

  /** The ids of one text while they are made. */
  private static final class Encoding {
    private final Vocabulary vocabulary;
    private final BytePairMerger merger;
    private int[] ids = new int[64];
    private int count;

    Encoding(Vocabulary vocabulary) {
      this.vocabulary = vocabulary;
      merger = new BytePairMerger(vocabulary.merges());
    }

    void append(int id) {
      reserve(1);
      ids[count++] = id;
    }

    void append(String text) {
      String normalized = Nfc.normalize(text);
      for (int start = 0; start < normalized.length(); ) {
        int end = QwenSplitter.next(normalized, start);
        appendPiece(normalized, start, end);
        start = end;
      }
    }

    int[] ids() {
      return Arrays.copyOf(ids, count);
    }

    private void appendPiece(String text, int start, int end) {
      reserve(3 * (end - start));
      int first = count;
      for (int i = start; i < end; ) {
        int c = text.codePointAt(i);
        i += Character.charCount(c);
        appendBytes(c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c);
      }
      count = first + merger.merge(ids, first, count - first);
    }

    private void appendBytes(int c) {
      if (c < 0x80) {
        appendByte(c);
        return;
      }
      if (c < 0x800) {
        appendByte(0xC0 | (c >> 6));
      } else {
        if (c < 0x10000) {
          appendByte(0xE0 | (c >> 12));
        } else {
          appendByte(0xF0 | (c >> 18));
          appendByte(0x80 | ((c >> 12) & 0x3F));
        }
        appendByte(0x80 | ((c >> 6) & 0x3F));
      }
      appendByte(0x80 | (c & 0x3F));
    }

    private void appendByte(int unsignedByte) {
      ids[count++] = vocabulary.byteIds()[unsignedByte];
    }

    private void reserve(int more) {
      if (ids.length - count < more) {
        ids = Arrays.copyOf(ids, Math.max(2 * ids.length, count + more));
      }
    }
  }
}
