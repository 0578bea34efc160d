// MariaDB Connector/J: runs a request's sessions, with server-side prepared statements, and rows fetched two at a time.
// The request comes as texts with NULs between them, the answers go out as JSON.

import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.SQLWarning;
import java.sql.Statement;
import java.sql.Types;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;

public class Sessions {
    private static final Map<Integer, Integer> TYPES = Map.of(Types.BIGINT, 8, Types.DECIMAL, 246, Types.VARCHAR, 253);
    private static final int FETCHED_AT_ONCE = 2;

    public static void main(String[] arguments) throws Exception {
        String request = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        Iterator<String> texts = List.of(request.split("\0", -1)).iterator();
        String url = texts.next();
        List<String> answers = new ArrayList<>();
        while (texts.hasNext()) {
            answers.add(session(url, texts));
        }
        System.out.write((answers.toString()).getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }

    private static String session(String url, Iterator<String> texts) throws SQLException {
        List<String> answers = new ArrayList<>();
        try (Connection connection = DriverManager.getConnection(url, texts.next(), texts.next())) {
            for (int left = Integer.parseInt(texts.next()); left > 0; left--) {
                boolean isPrepared = texts.next().equals("prepared");
                answers.add(step(connection, isPrepared, texts.next()).toString());
            }
        }
        return answers.toString();
    }

    private static List<String> step(Connection connection, boolean isPrepared, String sql) {
        List<String> results = new ArrayList<>();
        try (Statement statement = isPrepared ? connection.prepareStatement(sql) : connection.createStatement()) {
            statement.setFetchSize(FETCHED_AT_ONCE);
            boolean hasRows = isPrepared ? ((PreparedStatement) statement).execute() : statement.execute(sql);
            while (hasRows || statement.getUpdateCount() != -1) {
                results.add(hasRows ? rows(statement) : ok(statement));
                hasRows = statement.getMoreResults();
            }
        } catch (SQLException error) {
            String message = error.getMessage().replaceFirst("^\\(conn=\\d+\\) ", "");
            results.add(object("code", error.getErrorCode(), "sqlstate", error.getSQLState(), "message", message));
        }
        return results;
    }

    private static String ok(Statement statement) throws SQLException {
        return object("affected", statement.getUpdateCount(), "warnings", warnings(statement));
    }

    private static String rows(Statement statement) throws SQLException {
        List<String> names = new ArrayList<>();
        List<Integer> types = new ArrayList<>();
        List<List<String>> rows = new ArrayList<>();
        try (ResultSet found = statement.getResultSet()) {
            ResultSetMetaData columns = found.getMetaData();
            for (int column = 1; column <= columns.getColumnCount(); column++) {
                names.add(quoted(columns.getColumnLabel(column)));
                types.add(TYPES.get(columns.getColumnType(column)));
            }
            while (found.next()) {
                List<String> row = new ArrayList<>();
                for (int column = 1; column <= names.size(); column++) {
                    row.add(quoted(found.getString(column)));
                }
                rows.add(row);
            }
        }
        return object("columns", names, "types", types, "rows", rows, "warnings", warnings(statement));
    }

    private static int warnings(Statement statement) throws SQLException {
        int count = 0;
        for (SQLWarning warning = statement.getWarnings(); warning != null; warning = warning.getNextWarning()) {
            count++;
        }
        return count;
    }

    private static String object(Object... pairs) {
        List<String> fields = new ArrayList<>();
        for (int at = 0; at < pairs.length; at += 2) {
            Object value = pairs[at + 1];
            fields.add(quoted((String) pairs[at]) + ":" + (value instanceof String text ? quoted(text) : value));
        }
        return "{" + String.join(",", fields) + "}";
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder quoted = new StringBuilder("\"");
        for (char one : text.toCharArray()) {
            quoted.append(one < ' ' || one == '"' || one == '\\' ? String.format("\\u%04x", (int) one) : one);
        }
        return quoted.append('"').toString();
    }
}
