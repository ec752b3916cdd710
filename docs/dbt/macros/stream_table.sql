{#- A model as a stream table. What is there and has the same query stays; another query goes through
    create_or_replace_stream_table(), so that views and stream tables over it stay, too. -#}
{% materialization stream_table, adapter='postgres' %}
  {%- set grants = config.get('grants') -%}
  {%- set existing = load_cached_relation(this) -%}
  {%- set target = this.incorporate(type='table') -%}
  {%- set mode = (config.get('refresh_mode', 'AUTO') | string | upper) -%}
  {%- set schedule = config.get('schedule', 'calculated') | string -%}
  {%- set query = pg_trickle.query(model, sql) -%}

  {{ run_hooks(pre_hooks, inside_transaction=False) }}
  {{ run_hooks(pre_hooks, inside_transaction=True) }}

  {%- set is_there = pg_trickle.is_stream_table(target) -%}
  {%- if existing is not none and not is_there -%}
    {{ adapter.drop_relation(existing) }}
  {%- endif -%}
  {%- if is_there -%}
    {{ pg_trickle.drop_other_indexes(target) }}
  {%- endif -%}

  {%- call statement('main') -%}
    select pgtrickle.create_or_replace_stream_table(
      {{ pg_trickle.literal(pg_trickle.qualified_name(target)) }},
      {{ pg_trickle.literal(query) }},
      schedule => {{ pg_trickle.literal(schedule) }},
      refresh_mode => {{ pg_trickle.literal(mode) }})
  {%- endcall -%}

  {%- if is_there -%}
    {%- call statement('refresh') -%}
      select action from pgtrickle.refresh_stream_table(
        {{ pg_trickle.literal(pg_trickle.qualified_name(target)) }}, force_full => {{ 'true' if should_full_refresh() else 'false' }})
    {%- endcall -%}
  {%- endif -%}

  {{ pg_trickle.add_indexes(target) }}
  {%- do apply_grants(target, grants, should_revoke=should_revoke(existing, full_refresh_mode=false)) -%}
  {%- do persist_docs(target, model) -%}

  {{ run_hooks(post_hooks, inside_transaction=True) }}
  {{ adapter.commit() }}
  {{ run_hooks(post_hooks, inside_transaction=False) }}
  {{ return({'relations': [target]}) }}
{% endmaterialization %}

{#- The model's query, compared with its contract. A stream table takes no constraints: dbt tests say the same. -#}
{% macro query(model, sql) %}
  {%- set constraints = model.get('constraints', []) | list -%}
  {%- for column in model.get('columns', {}).values() -%}
    {%- do constraints.extend(column.get('constraints', [])) -%}
  {%- endfor -%}
  {%- if config.get('contract').enforced -%}
    {%- if constraints -%}
      {%- do exceptions.raise_compiler_error(
            "a stream table has no constraints of its own: test them (not_null, unique), or make a unique index") -%}
    {%- endif -%}
    {%- do get_assert_columns_equivalent(sql) -%}
    {{- return(get_select_subquery(sql)) -}}
  {%- endif -%}
  {{- return(sql) -}}
{% endmacro %}

{% macro literal(text) %}
  {{- return("'" ~ (text | replace("'", "''")) ~ "'") -}}
{% endmacro %}

{#- Schema and name, quoted. -#}
{% macro qualified_name(relation) %}
  {{- return(relation.include(database=false) | string) -}}
{% endmacro %}

{% macro is_stream_table(relation) %}
  {%- set found = run_query(
        "select 1 from pgtrickle.pgt_stream_tables where pgt_relid = to_regclass("
        ~ pg_trickle.literal(pg_trickle.qualified_name(relation)) ~ ")") -%}
  {{- return(found is not none and (found.rows | length) > 0) -}}
{% endmacro %}

{#- Name and statement of each index of the model's configuration. The name says what the index is, so that one that is
    there stays. -#}
{% macro index_statements(relation) %}
  {%- set indexes = {} -%}
  {%- for entry in config.get('indexes', default=[]) -%}
    {%- set index = adapter.parse_index(entry) -%}
    {%- set columns = [] -%}
    {%- for column in index.columns -%}{%- do columns.append(adapter.quote(column)) -%}{%- endfor -%}
    {%- set columns = columns | join(', ') -%}
    {%- set kind = index.type or 'btree' -%}
    {%- set name = 'dbt_' ~ local_md5(relation.identifier ~ '/' ~ kind ~ '/' ~ index.unique ~ '/' ~ columns) -%}
    {%- do indexes.update({name: 'create ' ~ ('unique ' if index.unique else '') ~ 'index if not exists "' ~ name
          ~ '" on ' ~ relation ~ ' using ' ~ kind ~ ' (' ~ columns ~ ')'}) -%}
  {%- endfor -%}
  {{- return(indexes) -}}
{% endmacro %}

{#- Indexes of ours that the configuration has no more. -#}
{% macro drop_other_indexes(relation) %}
  {%- set wanted = pg_trickle.index_statements(relation) -%}
  {%- set present = run_query(
        "select c.relname from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid"
        ~ " where i.indrelid = to_regclass(" ~ pg_trickle.literal(pg_trickle.qualified_name(relation)) ~ ")"
        ~ " and c.relname ~ '^dbt_[0-9a-f]{32}$'") -%}
  {%- for row in present.rows if row[0] not in wanted -%}
    {%- do run_query('drop index ' ~ relation.include(database=false, identifier=false) ~ '."' ~ row[0] ~ '"') -%}
  {%- endfor -%}
{% endmacro %}

{% macro add_indexes(relation) %}
  {%- for statement in pg_trickle.index_statements(relation).values() -%}
    {%- do run_query(statement) -%}
  {%- endfor -%}
{% endmacro %}
