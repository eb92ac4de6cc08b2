package org.tessera.weights;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tessera.error.CheckpointException;
import org.tessera.tensor.Shape;

/** Every refusal is one sentence with the file, the tensor and what was expected. */
class SafetensorsRefusalTest {
  private static final String FILE = "model.safetensors";
  private static final String INDEX = "model.safetensors.index.json";

  @TempDir Path directory;

  static Stream<Arguments> headers() {
    String a = "model.safetensors: tensor a ";
    return Stream.of(
        header("[]", "model.safetensors: the header does not begin with {"),
        header(" {}", "model.safetensors: the header does not begin with {"),
        header("{} {}", "model.safetensors: the header goes on after its JSON object"),
        header("{\"a\": 7}", a + "is not described by an object"),
        header(entry("{\"shape\":[8],\"data_offsets\":[0,8]}"), a + "has no dtype"),
        header(entry("{\"dtype\":\"U8\",\"data_offsets\":[0,8]}"), a + "has no shape"),
        header(entry("{\"dtype\":\"U8\",\"shape\":[8]}"), a + "has no data_offsets"),
        header(
            entry("{\"dtype\":\"Q4\",\"shape\":[8],\"data_offsets\":[0,8]}"),
            a + "has the type Q4, which safetensors does not know"),
        header(
            entry("{\"dtype\":8,\"shape\":[8],\"data_offsets\":[0,8]}"),
            a + "has a dtype that is not a string"),
        header(tensor("8", "0,8"), a + "has a shape that is not an array"),
        header(
            tensor("[-1]", "[0,8]"),
            a + "has a shape with an element that is not a whole number from 0"),
        header(
            tensor("[8.0]", "[0,8]"),
            a + "has a shape with an element that is not a whole number from 0"),
        header(
            tensor("[\"8\"]", "[0,8]"),
            a + "has a shape with an element that is not a whole number from 0"),
        header(
            tensor("[18446744073709551616]", "[0,8]"),
            a + "has a shape with an element that is not a whole number from 0"),
        header(
            tensor("[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,8]", "[0,8]"),
            a + "has a shape of more than 16 numbers"),
        header(
            tensor("[2147483648]", "[0,8]"),
            a + "has shape [2147483648], expected dimensions up to 2147483647"),
        header(
            tensor("[2147483647,2147483647,4]", "[0,8]"),
            a + "has shape [2147483647, 2147483647, 4], whose size does not fit into 64 bits"),
        header(
            tensor("[2147483647,2147483647]", "[0,8]"),
            a + "has shape [2147483647, 2147483647], whose size does not fit into 64 bits"),
        header(tensor("[8]", "[0]"), a + "has data_offsets [0], expected [begin, end]"),
        header(tensor("[8]", "[8,0]"), a + "has data_offsets [8, 0], expected [begin, end]"),
        header(tensor("[8]", "[0,4,8]"), a + "has a data_offsets of more than 2 numbers"),
        header(
            tensor("[8]", "[-8,0]"),
            a + "has a data_offsets with an element that is not a whole number from 0"),
        header(
            tensor("[2,3]", "[0,8]"),
            a + "has 8 bytes, expected 6 for U8 elements of shape [2, 3]"),
        header(
            entry("{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}"),
            a + "has 2 bytes, expected 12 bits for F4 elements of shape [3]"),
        header(
            tensor("[16]", "[0,16]"),
            a + "has data_offsets [0, 16], but the file has 8 bytes of data"),
        header(
            tensor("[8]", "[9223372036854775799,9223372036854775807]"),
            a
                + "has data_offsets [9223372036854775799, 9223372036854775807],"
                + " but the file has 8 bytes of data"),
        header(
            tensor("[4]", "[4,8]"),
            a + "begins at byte 4 of the data, expected 0, where the tensor before it ends"),
        header(
            tensor("[4]", "[0,4]"),
            "model.safetensors has 8 bytes of data, but its tensors end at byte 4"),
        header("{}", "model.safetensors has 8 bytes of data, but its tensors end at byte 0"),
        header(
            two("[6]", "[0,6]", "[6]", "[2,8]"),
            "model.safetensors: tensor b begins at byte 2 of the data, expected 6, where the tensor before it ends"),
        header(
            two("[2]", "[0,2]", "[2]", "[6,8]"),
            "model.safetensors: tensor b begins at byte 6 of the data, expected 2, where the tensor before it ends"),
        header(
            "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                + "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
            a + "appears twice"),
        header(
            entry("{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]}"),
            a + "has two keys \"dtype\""),
        header("{\"__metadata__\":7}", "model.safetensors: __metadata__ is not an object"),
        header(
            "{\"__metadata__\":{\"format\":7}}",
            "model.safetensors: __metadata__.format is not a string"),
        header(
            "{\"__metadata__\":{},\"__metadata__\":{}}",
            "model.safetensors: __metadata__ appears twice"));
  }

  @ParameterizedTest
  @MethodSource
  void headers(String header, String sentence) throws IOException {
    refuses(SafetensorsWriter.file(header, new byte[8]), sentence);
  }

  @ParameterizedTest
  @ValueSource(strings = {"{\"a\"", "{\"a\":", "{\"a\":{", "{'a'}", "{\"a\":{\"shape\":[", "{]}"})
  void brokenJson(String header) throws IOException {
    Files.write(directory.resolve(FILE), SafetensorsWriter.file(header, new byte[0]));

    assertThatThrownBy(() -> open())
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith(
            "the header of model.safetensors is not valid JSON at line 1, column ");
  }

  @Test
  void deepJson() throws IOException {
    refuses(
        SafetensorsWriter.file("{\"a\":{\"x\":" + "[".repeat(1 << 20), new byte[0]),
        "the header of model.safetensors is not valid JSON:"
            + " Document nesting depth (33) exceeds the maximum allowed (32)");
  }

  @Test
  void namesThatAreNotUtf8() throws IOException {
    byte[] file = new SafetensorsWriter().tensor("name", "U8", Shape.of(1)).bytes();
    file[new String(file, StandardCharsets.ISO_8859_1).indexOf("name")] = (byte) 0xff;

    refuses(file, "the header of model.safetensors is not valid UTF-8");
  }

  @Test
  void namesWithControlCharactersStayOnOneLine() throws IOException {
    refuses(
        SafetensorsWriter.file("{\"a\\u001b[31m\\nb\": 7}", new byte[0]),
        "model.safetensors: tensor a\\u001b[31m\\u000ab is not described by an object");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7})
  void filesTooShortForALength(int bytes) throws IOException {
    refuses(
        new byte[bytes],
        "model.safetensors has %d bytes, too few for a safetensors file".formatted(bytes));
  }

  @ParameterizedTest
  @CsvSource({"0, 0", "1, 1", "100000001, 100000001", "-1, 18446744073709551615"})
  void lengthsThatNoHeaderHas(long length, String shown) throws IOException {
    refuses(
        ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array(),
        ("model.safetensors announces a header of %s bytes, expected 2 to 100000000:"
                + " it may not be a safetensors file")
            .formatted(shown));
  }

  @Test
  void aHeaderThatIsCutOff() throws IOException {
    refuses(
        ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(57).array(),
        "model.safetensors announces a header of 57 bytes but has only 64 bytes in all:"
            + " the download may be incomplete");
  }

  @Test
  void tooManyTensors() throws IOException {
    StringBuilder header = new StringBuilder("{");
    for (int i = 0; i <= 100_000; i++) {
      header
          .append(i == 0 ? "" : ",")
          .append("\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}".formatted(i));
    }
    refuses(
        SafetensorsWriter.file(header.append('}').toString(), new byte[0]),
        "model.safetensors has more than 100000 tensors, the most this build reads");
  }

  @ParameterizedTest
  @ValueSource(strings = {"I64", "I32", "U8", "F64", "F8_E4M3", "BOOL"})
  void typesThatAreNotComputedWithAreRefusedWhenTheyAreAskedFor(String dtype) throws IOException {
    new SafetensorsWriter()
        .tensor("position_ids", dtype, Shape.of(4))
        .tensor("weight", "F32", Shape.of(1))
        .write(directory.resolve(FILE));
    try (SafetensorsCheckpoint checkpoint = open()) {
      assertThat(checkpoint.get("weight").columns()).isEqualTo(1);
      String sentence =
          "model.safetensors: tensor position_ids has the type %s, expected F32, BF16 or F16"
              .formatted(dtype);
      assertThatThrownBy(() -> checkpoint.get("position_ids"))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(sentence);
      assertThatThrownBy(() -> checkpoint.info("position_ids"))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(sentence);
    }
  }

  @Test
  void rowsLongerThanAnInt() throws IOException {
    new SafetensorsWriter()
        .tensor("a", "F32", Shape.of(0, 1 << 16, 1 << 15))
        .write(directory.resolve(FILE));
    try (SafetensorsCheckpoint checkpoint = open()) {
      assertThatThrownBy(() -> checkpoint.get("a"))
          .isInstanceOf(CheckpointException.class)
          .hasMessage(
              "model.safetensors: tensor a has shape [0, 65536, 32768],"
                  + " expected at most 2147483647 elements in a row");
    }
  }

  @Test
  void tensorsThatAreNotThere() throws IOException {
    new SafetensorsWriter().tensor("a", "F32", Shape.of(1)).write(directory.resolve(FILE));
    try (SafetensorsCheckpoint checkpoint = open()) {
      assertThatThrownBy(() -> checkpoint.get("b"))
          .isInstanceOf(CheckpointException.class)
          .hasMessage("model.safetensors: tensor b is missing");
      assertThatThrownBy(() -> checkpoint.info("b"))
          .isInstanceOf(CheckpointException.class)
          .hasMessage("model.safetensors: tensor b is missing");
    }
  }

  @Test
  void noWeightsAtAll() throws IOException {
    Files.write(directory.resolve("pytorch_model.bin"), new byte[8]);

    assertThatThrownBy(this::open)
        .isInstanceOf(CheckpointException.class)
        .hasMessage(
            "the checkpoint directory has neither model.safetensors.index.json nor"
                + " model.safetensors; weights in other formats are not read");
  }

  static Stream<Arguments> indexes() {
    return Stream.of(
        Arguments.of("[]", INDEX + " is not a JSON object"),
        Arguments.of("{}", INDEX + ": weight_map is missing"),
        Arguments.of("{\"weight_map\": 7}", INDEX + ": weight_map is not an object"),
        Arguments.of(
            "{\"weight_map\": {\"a\": 7}}", INDEX + ": weight_map.a is not the name of a file"),
        Arguments.of(
            "{\"weight_map\": {}, \"weight_map\": {}}", INDEX + ": weight_map appears twice"),
        Arguments.of(
            "{\"weight_map\": {\"a\": \"1.safetensors\", \"a\": \"2.safetensors\"}}",
            INDEX + ": tensor a appears twice in weight_map"),
        Arguments.of("{\"weight_map\": {}} 7", INDEX + " goes on after its JSON object"),
        Arguments.of(
            SafetensorsWriter.index("a", "1.safetensors", "b", "3.safetensors"),
            "3.safetensors is missing from the checkpoint directory "),
        Arguments.of(
            SafetensorsWriter.index("a", "1.safetensors", "b", "1.safetensors"),
            INDEX + ": weight_map has tensor b in 1.safetensors, which does not hold it"),
        Arguments.of(
            SafetensorsWriter.index("a", "1.safetensors", "b", "2.safetensors"),
            "2.safetensors holds tensor c, which weight_map of "
                + INDEX
                + " does not have in this file"),
        Arguments.of(
            SafetensorsWriter.index("a", "../1.safetensors"),
            "\"../1.safetensors\" is not a plain file name inside the checkpoint directory"),
        Arguments.of(
            SafetensorsWriter.index("a", "/etc/passwd"),
            "\"/etc/passwd\" is not a plain file name inside the checkpoint directory"),
        Arguments.of(
            SafetensorsWriter.index("a", "shards/1.safetensors"),
            "\"shards/1.safetensors\" is not a plain file name inside the checkpoint directory"),
        Arguments.of(
            SafetensorsWriter.index("a", ".."),
            "\"..\" is not a plain file name inside the checkpoint directory"),
        Arguments.of(
            SafetensorsWriter.index("a", "escape.safetensors"),
            "escape.safetensors is a symbolic link that leads out of the checkpoint directory "),
        Arguments.of("{\"weight_map\": {\"a\"", INDEX + " is not valid JSON at line 1, column "));
  }

  @ParameterizedTest
  @MethodSource
  void indexes(String index, String beginning, @TempDir Path outside) throws IOException {
    new SafetensorsWriter()
        .tensor("a", "F32", Shape.of(1))
        .write(directory.resolve("1.safetensors"));
    new SafetensorsWriter()
        .tensor("b", "F32", Shape.of(1))
        .tensor("c", "F32", Shape.of(1))
        .write(directory.resolve("2.safetensors"));
    Path secret = outside.resolve("secret");
    new SafetensorsWriter().tensor("a", "F32", Shape.of(1)).write(secret);
    Files.createSymbolicLink(directory.resolve("escape.safetensors"), secret);
    Files.writeString(directory.resolve(INDEX), index);

    assertThatThrownBy(this::open)
        .isInstanceOf(CheckpointException.class)
        .hasMessageStartingWith(beginning);
  }

  @Test
  void anIndexOfTooManyShards() throws IOException {
    String[] namesAndShards = new String[2002];
    for (int i = 0; i < namesAndShards.length; i += 2) {
      namesAndShards[i] = "tensor" + i;
      namesAndShards[i + 1] = "shard" + i;
    }
    Files.writeString(directory.resolve(INDEX), SafetensorsWriter.index(namesAndShards));

    assertThatThrownBy(this::open)
        .isInstanceOf(CheckpointException.class)
        .hasMessage(INDEX + " names 1001 files, expected at most 1000");
  }

  private void refuses(byte[] file, String sentence) throws IOException {
    Files.write(directory.resolve(FILE), file);

    assertThatThrownBy(this::open).isInstanceOf(CheckpointException.class).hasMessage(sentence);
  }

  private SafetensorsCheckpoint open() {
    return SafetensorsCheckpoint.open(directory);
  }

  private static Arguments header(String header, String sentence) {
    return Arguments.of(header, sentence);
  }

  private static String entry(String description) {
    return "{\"a\":" + description + "}";
  }

  private static String tensor(String shape, String offsets) {
    return entry("{\"dtype\":\"U8\",\"shape\":%s,\"data_offsets\":%s}".formatted(shape, offsets));
  }

  private static String two(String shapeA, String offsetsA, String shapeB, String offsetsB) {
    return "{\"a\":{\"dtype\":\"U8\",\"shape\":%s,\"data_offsets\":%s},".formatted(shapeA, offsetsA)
        + "\"b\":{\"dtype\":\"U8\",\"shape\":%s,\"data_offsets\":%s}}".formatted(shapeB, offsetsB);
  }
}
